import assert from "node:assert/strict";

const script = new URL("../../.ci/run", import.meta.url).pathname;

Deno.test.each([
  ["ok | 424 passed | 0 failed (6s)", "424 passed, 0 failed, 0 skipped"],
  ["ok | 10 passed (3 steps) | 0 failed | 12 ignored (2 steps) (1m2s)", "10 passed, 0 failed, 12 skipped"],
  ["FAILED | 2 passed (1 step) | 6 failed (1 step) | 1 ignored (9ms)", "2 passed, 6 failed, 1 skipped"],
  ["ok | 5 passed | 0 failed | 4 filtered out (1s)", "5 passed, 0 failed, 0 skipped"],
  ["a test that prints: ok | 9 passed\nok | 1 passed | 0 failed (1s)\n", "1 passed, 0 failed, 0 skipped"],
  ["error: Found 1 not formatted file", "0 passed, 1 failed"],
])(".ci/run makes of %j the counts %s", async (output, expected) => {
  assert.equal(await countsOf(output), expected);
});

Deno.test(".ci/run is right about what deno test prints", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${directory}/some_test.ts`,
      'Deno.test("a", () => {}); Deno.test.ignore("b", () => {}); Deno.test("c", () => { throw new Error(); });',
    );
    await Deno.writeTextFile(`${directory}/broken_test.ts`, "throw new Error();");
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--no-config", directory],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    assert.equal(await countsOf(new TextDecoder().decode(stdout)), "1 passed, 2 failed, 1 skipped");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** What the function counts() of the script prints of an output. */
async function countsOf(output: string): Promise<string> {
  const log = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(log, output);
    const { stdout } = await new Deno.Command("bash", {
      args: ["-c", 'source <(sed -n "/^counts()/,/^}/p" "$1"); counts "$2"', "counts", script, log],
      stdin: "null",
    }).output();
    return new TextDecoder().decode(stdout).trim();
  } finally {
    await Deno.remove(log);
  }
}
