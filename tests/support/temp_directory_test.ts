import assert from "node:assert/strict";
import { tempDirectory } from "./temp_directory.ts";

Deno.test("tempDirectory() writes a file that only its owner reads", async () => {
  await using directory = await tempDirectory();
  const path = await directory.write("key.pem", "a key");
  assert.equal(await Deno.readTextFile(path), "a key");
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
});

Deno.test("tempDirectory() leaves nothing behind", async () => {
  let path: string;
  {
    await using directory = await tempDirectory();
    path = directory.path;
    await directory.write("file", "content");
  }
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});
