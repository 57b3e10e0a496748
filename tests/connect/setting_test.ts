import assert from "node:assert/strict";
import fc from "fast-check";
import { fillSetting, parseSetting, type SessionFacts } from "../../lib/connect/setting.ts";

const FACTS: SessionFacts = {
  identity: "alice@example.com",
  issuer: "corp",
  token_id: "jti-1",
  client_address: "2001:db8::1",
  rule: "rules[0]",
  user: "reporting",
};

Deno.test.each([
  ["{identity}", "alice@example.com"],
  ["{identity} via proxy", "alice@example.com via proxy"],
  ["{issuer}/{token_id}/{client_address}/{rule}/{user}", "corp/jti-1/2001:db8::1/rules[0]/reporting"],
  ["{{identity}}", "{identity}"],
  ["{{{identity}}}", "{alice@example.com}"],
  ["", ""],
  ["\\1 $1 %s", "\\1 $1 %s"],
])("fillSetting() of %s", (text, value) => {
  assert.equal(fillSetting("app.user", parseSetting("app.user", text), FACTS), value);
});

Deno.test.each([
  ["{identy}", "{identy}"],
  ["{}", "{}"],
  ["{ identity }", "{"],
  ["{identity", "{"],
  ["identity}", "}"],
  ["{{identity}", "}"],
  ["{Identity}", "{Identity}"],
  ["{__proto__}", "{__proto__}"],
])("parseSetting() refuses %s", (text, token) => {
  const known = "{identity}, {issuer}, {token_id}, {client_address}, {rule}, {user}";
  assert.throws(() => parseSetting("app.user", text), {
    name: "Mistake",
    message: `holds ${token}, which is none of ${known}: write {{ and }} for braces`,
  });
});

Deno.test.each(["search_path", "role", "options", "session_authorization", "work_mem", "statement_timeout"])(
  "parseSetting() lets no fact into %s",
  (name) => {
    assert.throws(() => parseSetting(name, "x{user}"), {
      name: "Mistake",
      message: "cannot hold {…}: only application_name and settings with a dot in their name can",
    });
    assert.deepEqual(parseSetting(name, "{{x}}"), ["{", "x", "}"]);
  },
);

Deno.test("T13 fillSetting() never reads what a fact holds", () => {
  const setting = parseSetting("app.user", "<{identity}>");
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (identity) => {
    fc.pre(!/\p{Cc}/u.test(identity) && identity.isWellFormed());
    assert.equal(fillSetting("app.user", setting, { ...FACTS, identity }), `<${identity}>`);
  }));
  for (const identity of ["{user}", "}}", "\\0", "';drop", '"', "-c role=postgres"]) {
    assert.equal(fillSetting("app.user", setting, { ...FACTS, identity }), `<${identity}>`);
  }
});

Deno.test.each([
  ["NUL", "al\0ice"],
  ["newline", "alice\nbob"],
  ["ESC", "\x1b[31m"],
  ["DEL", "a\x7f"],
  ["a C1 control character", "a\x9b31m"],
  ["half a surrogate pair", "a\ud83d"],
])("T13 fillSetting() refuses a fact with %s, and does not repeat it", (_case, identity) => {
  for (const name of ["app.user", "application_name"]) {
    assert.throws(() => fillSetting(name, parseSetting(name, "{identity}"), { ...FACTS, identity }), {
      name: "PgError",
      sqlstate: "28000",
      message: "login refused",
      reason: `the setting ${name} would tell the identity, which holds control characters or broken Unicode`,
    });
  }
});

Deno.test.each([
  ["63 bytes", "a".repeat(63), 63],
  ["64 bytes", "a".repeat(64), 63],
  ["characters of two bytes", "é".repeat(40), 62],
  ["characters of four bytes", "😀".repeat(20), 60],
])("fillSetting() cuts application_name between characters: %s", (_case, identity, bytes) => {
  const fill = (name: string) => fillSetting(name, parseSetting(name, "{identity}"), { ...FACTS, identity });
  for (const name of ["application_name", "Application_Name"]) {
    assert.equal(new TextEncoder().encode(fill(name)).length, bytes);
    assert.ok(identity.startsWith(fill(name)));
  }
  assert.equal(fill("app.user"), identity);
});
