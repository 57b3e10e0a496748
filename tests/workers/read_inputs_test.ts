import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import { Secret } from "../../lib/secret.ts";
import { reading, recording } from "../../lib/workers/read_inputs.ts";
import { outsideOf, PEM, SMALLEST } from "../config/files.ts";

const TOML = SMALLEST
  .replace(
    "[[rules]]",
    'password_env = "DB_PASSWORD"\n\n[[backends]]\nname = "other"\n' +
      'url = "postgres://app@db2.internal/?sslrootcert=ca.crt"\npassword_file = "password"\n\n[[rules]]',
  );

Deno.test("what was recorded reads as the same configuration in another thread, whatever the disk says then", async () => {
  const files: Record<string, string> = { ...PEM, "config.toml": TOML, "password": "one\n" };
  const variables = { DB_PASSWORD: "two" };
  const { outside, inputs } = recording({ path: "/etc/proxy/config.toml" }, outsideOf(files, variables));
  const configuration = await loadConfiguration(inputs.source, outside);

  for (const name of Object.keys(files)) files[name] = "changed";
  variables.DB_PASSWORD = "changed";
  const sent = structuredClone(inputs);
  const again = await loadConfiguration(sent.source, reading(sent));
  assert.equal(told(again), told(configuration));
  assert.match(told(again), /"the secret one".*"the secret two"|"the secret two".*"the secret one"/);
});

Deno.test("what the command line says is the same in another thread", async () => {
  const files = {
    ...PEM,
    "config.toml": SMALLEST.replace(/\[\[backends[^]*/, ""),
    "backends.json": BACKENDS,
  };
  const { outside, inputs } = recording({ path: "/etc/proxy/config.toml", flags: FLAGS }, outsideOf(files));
  const configuration = await loadConfiguration(inputs.source, outside);
  const sent = structuredClone(inputs);
  assert.equal(told(await loadConfiguration(sent.source, reading(sent))), told(configuration));
  assert.deepEqual([configuration.log.level, configuration.service.grace_period], ["debug", 7]);
  assert.equal(configuration.backends.size, 1);
});

Deno.test("a file that was not read before does not exist", async () => {
  const { outside, inputs } = recording({}, outsideOf({ there: "text" }));
  await outside.readTextFile("there");
  await assert.rejects(outside.readTextFile("missing"), Deno.errors.NotFound);
  assert.equal(await reading(inputs).readTextFile("there"), "text");
  for (const path of ["missing", "./there"]) {
    await assert.rejects(reading(inputs).readTextFile(path), Deno.errors.NotFound);
  }
});

Deno.test("a file that has changed while it was read is as it was last", async () => {
  let text = "first";
  const { outside, inputs } = recording({}, {
    readTextFile: () => Promise.resolve(text),
    getEnv: () => undefined,
  });
  await outside.readTextFile("file");
  text = "second";
  await outside.readTextFile("file");
  assert.equal(await reading(inputs).readTextFile("file"), "second");
});

Deno.test("a variable that was not set is not set, and neither is one that was not asked for", () => {
  const { outside, inputs } = recording({}, outsideOf({}, { SET: "value", EMPTY: "", OTHER: "other" }));
  for (const name of ["SET", "EMPTY", "UNSET"]) outside.getEnv(name);
  const { getEnv } = reading(structuredClone(inputs));
  assert.deepEqual(["SET", "EMPTY", "UNSET", "OTHER"].map(getEnv), ["value", "", undefined, undefined]);
});

const FLAGS = { backends: "/etc/proxy/backends.json", verbose: 1, gracePeriod: 7 };
const BACKENDS = '{ "alice": "postgres://app:secret@db1.internal/orders" }';

/** All that a configuration says, its secrets too. */
function told(configuration: unknown): string {
  return JSON.stringify(configuration, function (this: Record<string, unknown>, name, value) {
    const held = this[name];
    if (held instanceof Secret) return `the secret ${held.reveal()}`;
    return held instanceof Map || held instanceof Set ? [...held] : value;
  });
}
