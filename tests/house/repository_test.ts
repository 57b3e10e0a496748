import assert from "node:assert/strict";

const root = new URL("../../", import.meta.url);

Deno.test("deno lint finds nothing in the repository", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["lint", "--quiet"],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
});
