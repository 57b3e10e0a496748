// In: what attacks on OAUTHBEARER, and on whatever lets a token speak for somebody, have shown. Out: that they fail.
// Chapter: the attacker's notes.

import assert from "node:assert/strict";
import { fakeBackend } from "../support/hostile_peer.ts";
import {
  authentication,
  concat,
  cString,
  errorResponse,
  loginIsComplete,
  passwordMessage,
  typed,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { connectToPassword, logLines } from "./hostile_scene.ts";

Deno.test.each<[string, (said: string) => Uint8Array]>([
  ["in a notice", (said) => notice(said)],
  ["as a parameter", (said) => typed("S", concat(cString("application_name"), cString(said)))],
  ["in an error", (said) => errorResponse("28000", said)],
  ["in part of an error's fields", (said) => typed("E", concat(cString(`R${said}`), Uint8Array.of(0)))],
])("T17 a token that its backend says again %s is in no trace", async (_name, say) => {
  await using backend = await fakeBackend(async (connection) => {
    await connection.receiveUntyped();
    await connection.send(authentication(10, concat(cString("OAUTHBEARER"), Uint8Array.of(0))));
    const { body } = await connection.receiveMessage();
    const [, token] = /Bearer ([\w.-]+)/.exec(new TextDecoder().decode(body))!;
    const login = loginIsComplete();
    const ok = authentication(0);
    await connection.send(ok, say(`you said ${token}`), login.subarray(ok.length));
    await connection.receiveToEnd();
  });
  await using proxy = await RunningProxy.start({
    toml: `
[[backends]]
name = "main"
url = "postgres://app@localhost:${backend.port}/postgres?sslmode=disable"
require_auth = ["oauth"]

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"

[log]
level = "trace"
`,
  });
  const token = await proxy.issuer.mint({ sub: "alice" });
  {
    await using client = await connectToPassword(proxy.port);
    await client.send(passwordMessage(token));
    const { type } = await client.receiveMessage();
    if (type === "R") await client.receiveMessagesUntil("Z");
  }
  await proxy.observed(
    proxy.events.some(({ kind }) => kind === "login_refused") ? "login_refused" : "session_ended",
  );
  const lines = logLines(proxy, "text");
  assert(lines.some((line) => line.includes("you said")), lines.join("\n"));
  assert.deepEqual(lines.filter((line) => line.includes(token.slice(0, 40))), []);
});

function notice(message: string): Uint8Array {
  return typed(
    "N",
    concat(...["SNOTICE", "VNOTICE", "C00000", `M${message}`].map(cString), Uint8Array.of(0)),
  );
}
