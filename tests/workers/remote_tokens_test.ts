import assert from "node:assert/strict";
import type { MainCalls } from "../../lib/workers/calls.ts";
import { Line } from "../../lib/workers/line.ts";
import { remoteTokens } from "../../lib/workers/remote_tokens.ts";
import { PortInProcess } from "../support/threads_in_process.ts";

Deno.test.each<[claims: Record<string, unknown>, sent: Record<string, unknown>]>([
  [{ iss: "https://login.example.com", groups: ["a", "b"], sub: "alice" }, {
    iss: "https://login.example.com",
  }],
  [{ groups: ["a", "b"] }, {}],
])("standingOf() in a worker asks about a token with %j by no more of them than %j", async (claims, sent) => {
  const [worker, main] = PortInProcess.pair();
  const asked: unknown[] = [];
  new Line(main, {
    standingOf: (about) => {
      asked.push(about);
      return "good";
    },
  });
  const names = { issuer: "corp", tokenId: "t-1", subject: "alice" };
  const token = { ...names, claims, expiresAtMs: 0, requireEmailVerified: true };
  assert.equal(await remoteTokens(new Line<MainCalls>(worker, {}), 7).standingOf(token), "good");
  assert.deepEqual(asked, [{ generation: 7, token: { ...names, claims: sent } }]);
});
