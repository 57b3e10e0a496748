import assert from "node:assert/strict";
import { join } from "node:path";
import { compile, printsVersion, VERSION_TEXT } from "../../tools/compile.ts";

Deno.test("compile() deletes the REPL with every permission that deno itself yields as DENORT_BIN", async () => {
  await using place = await temporaryPlace();
  const compiled = await compile({ ...place.options, env: { DENORT_BIN: Deno.execPath() } });
  assert.match(
    whyNot(compiled),
    /^the executable made is not pg-auth-proxy .* and was deleted; set DENORT_BIN/,
  );
  assert.deepEqual(await place.filesLeft(), []);
});

Deno.test("compile() deletes what another program yields as DENORT_BIN", async () => {
  await using place = await temporaryPlace();
  const compiled = await compile({ ...place.options, env: { DENORT_BIN: "/bin/true" } });
  assert.match(
    whyNot(compiled),
    /^the executable made is not pg-auth-proxy .* and was deleted; set DENORT_BIN/,
  );
  assert.deepEqual(await place.filesLeft(), []);
});

Deno.test("compile() says that the file DENORT_BIN names is no program", async () => {
  await using place = await temporaryPlace();
  const compiled = await compile({ ...place.options, env: { DENORT_BIN: place.options.entry } });
  assert.match(whyNot(compiled), /^the file where DENORT_BIN says is no program; set DENORT_BIN/);
  assert.deepEqual(await place.filesLeft(), []);
});

Deno.test("compile() says that DENORT_BIN names no file", async () => {
  await using place = await temporaryPlace();
  const compiled = await compile({ ...place.options, env: { DENORT_BIN: join(place.directory, "nothing") } });
  assert.match(whyNot(compiled), /^there is no file where DENORT_BIN says; set DENORT_BIN/);
  assert.deepEqual(await place.filesLeft(), []);
});

Deno.test("compile() says in a sentence that denort cannot be downloaded", async () => {
  await using place = await temporaryPlace();
  // Nobody listens on port 1, and the empty DENO_DIR holds no denort of an earlier download.
  const nowhere = { HTTPS_PROXY: "http://127.0.0.1:1", NO_PROXY: "" };
  const env = { DENORT_BIN: "", DENO_DIR: join(place.directory, "cache"), ...nowhere };
  const compiled = await compile({ ...place.options, env });
  assert.equal(
    whyNot(compiled),
    `denort cannot be downloaded from here; set DENORT_BIN to the path of the denort that belongs to Deno ${Deno.version.deno}`,
  );
  assert.deepEqual(await place.filesLeft(), []);
});

Deno.test("compile() gives the compiler's own words when the program itself is wrong", async () => {
  await using place = await temporaryPlace();
  await Deno.writeTextFile(place.options.entry, "const a: number = 'a';");
  assert.match(whyNot(await compile(place.options)), /TS2322/);
  assert.deepEqual(await place.filesLeft(), []);
});

Deno.test("compile() keeps an executable that prints our version (by a stand-in for the compiler)", async () => {
  await using place = await temporaryPlace();
  const deno = await standInCompiler(place.directory, `echo "${VERSION_TEXT.trim()}"`);
  assert.deepEqual(await compile({ ...place.options, deno }), { ok: true });
  assert.equal(await printsVersion(place.options.output), true);
});

Deno.test("compile() asks for no more than the network and files to read", async () => {
  await using place = await temporaryPlace();
  const deno = await standInCompiler(place.directory, `echo "${VERSION_TEXT.trim()}"`);
  await compile({ ...place.options, deno });
  const [command, ...args] = (await Deno.readTextFile(join(place.directory, "arguments"))).trim().split(" ");
  assert.equal(command, "compile");
  const flags = args.filter((arg) => arg.startsWith("--") && !arg.startsWith("--v8-flags="));
  assert.deepEqual(flags, [
    "--no-prompt",
    "--allow-net",
    "--allow-read",
    "--output",
  ]);
});

Deno.test("compile() hands on the permission to run a validator", async () => {
  await using place = await temporaryPlace();
  const deno = await standInCompiler(place.directory, `echo "${VERSION_TEXT.trim()}"`);
  await compile({ ...place.options, deno, flags: ["--allow-run=/usr/bin/check"] });
  const args = await Deno.readTextFile(join(place.directory, "arguments"));
  assert.match(args, / --allow-read --allow-run=\/usr\/bin\/check --output /);
});

Deno.test.each([
  ["another version", 'echo "pg-auth-proxy 0.0.0"'],
  ["a word too many", `echo "${VERSION_TEXT.trim()}"; echo more`],
  ["nothing", "true"],
  ["its version and then fails", `echo "${VERSION_TEXT.trim()}"; exit 1`],
])("printsVersion() refuses a program that prints %s", async (_what, script) => {
  await using place = await temporaryPlace();
  assert.equal(await printsVersion(await program(place.directory, script)), false);
});

Deno.test("printsVersion() ends a program that waits instead of printing", async () => {
  await using place = await temporaryPlace();
  const waiting = await program(place.directory, `echo "${VERSION_TEXT.trim()}"; exec tail -f /dev/null`);
  assert.equal(await printsVersion(waiting, 200), false);
});

Deno.test("printsVersion() gives a program nothing to read", async () => {
  await using place = await temporaryPlace();
  const reading = await program(place.directory, `read line || echo "${VERSION_TEXT.trim()}"`);
  assert.equal(await printsVersion(reading), true);
});

function whyNot(compiled: Awaited<ReturnType<typeof compile>>): string {
  assert.equal(compiled.ok, false);
  return compiled.why;
}

async function temporaryPlace() {
  const directory = await Deno.makeTempDir();
  const entry = join(directory, "main.ts");
  await Deno.writeTextFile(entry, `console.log(${JSON.stringify(VERSION_TEXT.trim())});`);
  const dist = join(directory, "dist");
  return {
    directory,
    options: { entry, output: join(dist, "pg-auth-proxy"), env: {} },
    /** What stands where the executable would go. */
    filesLeft: async () => {
      try {
        return await Array.fromAsync(Deno.readDir(dist), (file) => file.name);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return [];
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

/** A program that takes the arguments of `deno compile` and writes `script` as the executable. */
function standInCompiler(directory: string, script: string): Promise<string> {
  const lines = [
    `echo "$@" > "${directory}/arguments"`,
    'while [ "$1" != --output ]; do shift; done',
    `printf '#!/bin/sh\\n%s\\n' '${script}' > "$2"`,
    'chmod +x "$2"',
  ];
  return program(directory, lines.join("\n"));
}

async function program(directory: string, script: string): Promise<string> {
  const path = join(directory, "program");
  await Deno.writeTextFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}
