import assert from "node:assert/strict";
import { loadConfiguration } from "../../../lib/config/load.ts";
import { ConfigurationError } from "../../../lib/config/problem.ts";
import { type IssuerProblem, IssuersMisconfigured } from "../../../lib/token/token_event.ts";
import { TokenVerifier } from "../../../lib/token/token_verifier.ts";
import { outsideOf, PEM, SMALLEST } from "../../config/files.ts";

const KEYS = `url = "https://login.example.com"
audience = ["proxy"]
`;

/** The smallest configuration, its issuer a validator: these lines follow the name, which is on line 6. */
function configured(lines: string): string {
  assert.ok(SMALLEST.includes(KEYS));
  return SMALLEST.replace(KEYS, lines);
}

const load = (toml: string) =>
  loadConfiguration("/etc/proxy/config.toml", outsideOf({ ...PEM, "config.toml": toml }));

async function mistakesIn(loading: Promise<unknown>): Promise<readonly string[]> {
  try {
    await loading;
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigurationError, String(thrown));
    return thrown.message.split("\n").map((line) => line.replace("/etc/proxy/config.toml:", ""));
  }
}

Deno.test("an issuer with a validator needs nothing else", async () => {
  const { issuers: [{ validator, issuer, audience }] } = await load(
    configured('validator = { command = ["./check", ""] }\n'),
  );
  assert.deepEqual(validator, { command: ["./check", ""], timeout: 5_000 });
  assert.deepEqual({ issuer, audience }, { issuer: undefined, audience: [] });
});

Deno.test("an issuer with a validator may have an iss, a deny list and a timeout", async () => {
  const { issuers: [{ validator, issuer, deny_list }] } = await load(
    configured(
      'validator = { command = ["check"], timeout = "1500ms" }\nissuer = "x"\ndeny_list = "denied"\n',
    ),
  );
  assert.equal(validator?.timeout, 1_500);
  assert.deepEqual({ issuer, deny_list }, { issuer: "x", deny_list: "denied" });
});

Deno.test.each([
  ["no command", "{}", "validator.command is required: name the program to ask, and its arguments"],
  [
    "a command in one text",
    '{ command = "check --all" }',
    "validator.command must be an array of text: the program, then each of its arguments; no shell splits it",
  ],
  [
    "an argument that is a number",
    '{ command = ["check", 1] }',
    "validator.command[1] must be an array of text: the program, then each of its arguments; no shell splits it",
  ],
  ["an empty command", "{ command = [] }", "validator.command must name a program"],
  ["an empty program", '{ command = ["", "x"] }', "validator.command must name a program"],
  ["a NUL", '{ command = ["a\\u0000"] }', "validator.command must not have a NUL in it"],
  [
    "no time to answer",
    '{ command = ["check"], timeout = "0" }',
    "validator.timeout must be between 100ms and 1m",
  ],
  [
    "a misspelt key",
    '{ command = ["check"], timout = "1s" }',
    "validator.timout is not a known key: did you mean timeout?",
  ],
])("a validator with %s is a mistake with file and line", async (_name, table, says) => {
  assert.deepEqual(await mistakesIn(load(configured(`validator = ${table}\n`))), [`7: issuers[0].${says}`]);
});

Deno.test.each([
  ["url", '"https://login.example.com"'],
  ["jwks_url", '"https://login.example.com/keys"'],
  ["signing_keys", '["a.pem"]'],
  ["introspect", '"opaque"'],
  ["insecure_http", "false"],
  ["audience", '["proxy"]'],
  ["algorithms", '["ES256"]'],
  ["types", '["JWT"]'],
  ["clients", '["psql"]'],
  ["required_claims", '{ a = "b" }'],
  ["require_binding", "false"],
  ["require_email_verified", "true"],
])("%s beside a validator would have no effect, and is a mistake even as its default", async (key, value) => {
  const toml = configured(`validator = { command = ["check"] }\n${key} = ${value}\n`);
  assert.deepEqual(await mistakesIn(load(toml)), [
    `8: issuers[0].${key} is wrong: remove "${key}": with "validator" it has no effect, the program alone decides`,
  ]);
});

Deno.test("an issuer without a validator still needs an audience", async () => {
  assert.deepEqual(await mistakesIn(load(configured('url = "https://login.example.com"\n'))), [
    "5: issuers[0].audience is required: name the audience the tokens must carry",
  ]);
});

Deno.test("two issuers with validators need no iss to be told apart", async () => {
  const validator = 'validator = { command = ["check"] }\n';
  assert.deepEqual(
    await mistakesIn(load(configured(`${validator}[[issuers]]\nname = "b"\n${validator}`))),
    [],
  );
});

Deno.test("two issuers with the same iss are a mistake with validators too", async () => {
  const validator = 'validator = { command = ["check"] }\nissuer = "x"\n';
  assert.deepEqual(await mistakesIn(load(configured(`${validator}[[issuers]]\nname = "b"\n${validator}`))), [
    "12: issuers[1].issuer is that of issuers[0]: make them one, audience takes several",
  ]);
});

Deno.test("a program that cannot be started is a mistake with file and line", async () => {
  const toml = configured('\n[issuers.validator]\ntimeout = "1s"\ncommand = ["libexec/check"]\n');
  const loading = loadConfiguration("/etc/proxy/config.toml", {
    ...outsideOf({ ...PEM, "config.toml": toml }),
    async checkIssuers(issuers, { baseDirectory }): Promise<readonly IssuerProblem[]> {
      try {
        await TokenVerifier.create(issuers, { fetch, now: Date.now, baseDirectory });
        return [];
      } catch (error) {
        assert.ok(error instanceof IssuersMisconfigured);
        return error.problems;
      }
    },
  });
  assert.deepEqual(await mistakesIn(loading), [
    "10: issuers[0].validator.command cannot be used: /etc/proxy/libexec/check cannot be run: there is no such program;" +
    " a name without a slash must be where the system's programs are",
  ]);
});

Deno.test("the good validators of a configuration with a mistake are not left behind", async () => {
  // The sanitizers would tell of a process that still runs.
  const { issuers: [issuer] } = await load(configured('validator = { command = ["cat"] }\n'));
  const missing = { ...issuer, name: "b", validator: { ...issuer.validator!, command: ["/nonexistent"] } };
  await assert.rejects(
    TokenVerifier.create([issuer, missing], { fetch, now: Date.now }),
    IssuersMisconfigured,
  );
});
