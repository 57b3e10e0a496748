import assert from "node:assert/strict";
import { StandardError } from "../../../lib/token/validator/standard_error.ts";
import { waitUntil } from "../../support/wait_until.ts";
import { good, loop, NOW_MS, say, scripted } from "./scripted_validator.ts";

/** What is reported of these lines, each written at its time. */
async function reported(
  lines: Iterable<readonly [atMs: number, line: string]>,
  tokens: readonly string[] = [],
  remembers = 2,
): Promise<string[]> {
  let now = 0;
  const said: string[] = [];
  const standardError = new StandardError({
    remembers,
    now: () => now,
    report: (line, passedOver) => said.push(passedOver === 0 ? line : `${line} (${passedOver} before)`),
  });
  for (const token of tokens) standardError.expect(token);
  const written = (function* () {
    for (const [atMs, line] of lines) {
      now = atMs;
      yield new TextEncoder().encode(`${line}\n`);
    }
  })();
  // A stream that reads ahead would turn the clock before the line is looked at.
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = written.next();
      return done ? controller.close() : controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
  await standardError.read(stream.getReader());
  return said;
}

Deno.test("a validator's standard error is reported line by line, fit to be printed", async () => {
  assert.deepEqual(
    await reported([[0, "connected"], [0, ""], [0, "\u001b[31mred\u202e"], [0, "x".repeat(300)]]),
    ["connected", "\\u001b[31mred\\u202e", `${"x".repeat(256)}… (300 characters)`],
  );
});

Deno.test("of a flood twenty lines are reported in ten seconds, and the rest counted", async () => {
  const flood = Array.from({ length: 1000 }, (_, index) => [index, `line ${index}`] as const);
  const said = await reported([...flood, [10_000, "after"], [10_001, "more"]]);
  assert.equal(said.length, 22);
  assert.deepEqual(said.slice(19), ["line 19", "after (980 before)", "more"]);
});

Deno.test("a clock that was set back silences nobody", async () => {
  const flood = Array.from({ length: 30 }, () => [1_000_000, "x"] as const);
  assert.deepEqual((await reported([...flood, [0, "after"]])).at(-1), "after (10 before)");
});

Deno.test("T17 the last tokens shown to a validator are blotted out of its standard error", async () => {
  const tokens = ["forgotten", "first-token", 'second "token"'];
  const lines = ["got first-token twice: first-token", JSON.stringify({ token: tokens[2] }), tokens[2]];
  assert.deepEqual(await reported(lines.map((line) => [0, line] as const), tokens), [
    "got [token] twice: [token]",
    '{"token":"[token]"}',
    "[token]",
  ]);
});

Deno.test("T17 a long token is blotted out before the line is cut", async () => {
  const token = "t".repeat(65_530);
  assert.deepEqual(await reported([[0, `got ${token}`]], [token]), ["got [token]"]);
});

Deno.test("T17 tokens that are found in one another's place do not make a line grow without end", async () => {
  const tokens = Array.from({ length: 256 }, (_, index) => "[token]"[index % 7]);
  assert.deepEqual(await reported([[0, "no such token, too bad"]], tokens, tokens.length), [
    "[token] such [token], [token] bad",
  ]);
});

Deno.test("T17 a token that is part of another does not keep that one from being blotted out", async () => {
  const tokens = ["e", "part-of-a", "eyJ-a-token-that-is-part-of-a-line"];
  assert.deepEqual(
    await reported([[0, `got ${tokens[2]}, good`]], tokens, tokens.length),
    ["got [token], good"],
  );
});

Deno.test("a validator that floods its standard error is neither blocked nor believed to be worth a full log", async () => {
  let now = NOW_MS;
  await using scene = await scripted(
    `yes 'a line of trouble' | head -c 2000000 >&2; ${loop(`echo again >&2; ${say(good("alice"))}`)}`,
    {
      now: () => now,
    },
  );
  const said = () => scene.events.flatMap((event) => event.kind === "validator_said" ? [event] : []);
  assert.equal((await scene.validate()).sub, "alice");
  assert.equal(said().length, 20);
  await waitUntil(async () => {
    now += 10_000;
    await scene.validate();
    return said().some(({ line }) => line === "again");
  }, { what: "a line behind the flood" });
  assert.equal(said()[0].issuer, "legacy");
  const passedOver = said().reduce((sum, event) => sum + event.passedOver, 0);
  assert.ok(passedOver > 90_000, String(passedOver));
});
