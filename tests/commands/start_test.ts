import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { createAuthority } from "../support/certificates.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { RawClient } from "../support/hostile_peer.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const authority = await createAuthority("start");
const server = await authority.issueForLoopback();
const { version } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));

Deno.test.each<[string[]]>([[["--version"]], [["-V"]]])(
  "%j prints the version and nothing else",
  async (args) => {
    assert.deepEqual(await run(args), { code: 0, stdout: `pg-auth-proxy ${version}\n`, stderr: "" });
  },
);

Deno.test("--help names the command, the example and the exit codes", async () => {
  const { code, stdout } = await run(["--help"]);
  assert.equal(code, 0);
  for (const word of ["start", "--config config.toml", "Exit codes"]) assert(stdout.includes(word), word);
});

Deno.test.each<[string[], string]>([
  [
    ["start"],
    "error: give --config, or --backends with --oidcDiscovery or --signingKeys\n(--help shows how)\n",
  ],
  [["strat"], "error: unknown command 'strat'\n(Did you mean start?)\n(--help shows how)\n"],
  [["start", "--config", "c.toml", "--bogus"], "error: unknown option '--bogus'\n(--help shows how)\n"],
])("%j ends with exit code 2 and one sentence", async (args, stderr) => {
  assert.deepEqual(await run(args), { code: 2, stdout: "", stderr });
});

Deno.test("start tells of every mistake at once: file, line and what to do", async () => {
  await using scene = await configured((toml) =>
    toml
      .replace("address =", "adress =")
      .replace("server.key", "missing.key")
      .replace(/url = "http.*"/, 'url = "https://127.0.0.1:9"')
      .replace("/(.*)/", "/(/")
  );
  const { code, stdout, stderr } = await run(["start", "--config", scene.config]);
  const lines = stderr.trimEnd().split("\n").map((line) => line.replace(scene.config, "config.toml"));
  assert.deepEqual({ code, stdout, lines }, {
    code: 1,
    stdout: "",
    lines: [
      "config.toml:3: listen.adress is not a known key: did you mean address?",
      "config.toml:5: listen.private_key names missing.key, which does not exist",
      "config.toml:9: issuers[0].url cannot be used: https://127.0.0.1:9/.well-known/openid-configuration could not be" +
      " fetched: Fetch failed: Requests to port 9 are blocked",
      "config.toml:18: rules[0].match is not a regular expression of RE2: missing closing ): `(`",
    ],
  });
});

Deno.test("start tells of every mistake in a deny list, with the list's own lines", async () => {
  await using scene = await configured((toml) =>
    toml.replace("audience", 'deny_list = "denied.txt"\naudience')
  );
  const list = join(dirname(scene.config), "denied.txt");
  await Deno.writeTextFile(list, "# who left\nsub alice\nbob\njti 1 # stolen\n");
  const { code, stderr } = await run(["start", "--config", scene.config], { env: scene.env });
  const where = `${scene.config}:10: issuers[0].deny_list cannot be used:`;
  assert.deepEqual({ code, lines: stderr.trimEnd().split("\n") }, {
    code: 1,
    lines: [
      `${where} ${list}:3 must be "jti" or "sub", a blank and its value`,
      `${where} ${list}:4 has a # behind its value: a comment needs a line of its own`,
    ],
  });
});

Deno.test("start names a permission that is missing, in one sentence", async () => {
  await using scene = await configured();
  const { issuerHost, config } = scene;
  const allowed = [`--allow-net=${issuerHost},127.0.0.1`, "--allow-read"];
  assert.deepEqual(await run(["start", "--config", config], { permissions: allowed, env: scene.env }), {
    code: 1,
    stdout: "",
    stderr: "Deno does not permit what the configuration needs: start with --allow-net=localhost:5432\n",
  });
});

Deno.test("start names a file it may not read, in one sentence", async () => {
  await using scene = await configured();
  const { code, stderr } = await run(["start", "--config", scene.config], { permissions: ["--allow-net"] });
  assert.equal(code, 1);
  assert.equal(
    stderr,
    `${scene.config}: is the configuration file, which Deno may not read: start with --allow-read=${scene.config}\n`,
  );
});

Deno.test("start says that its address is taken", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  await using scene = await configured((toml) => toml.replace("127.0.0.1:0", `127.0.0.1:${port}`));
  assert.deepEqual(await run(["start", "--config", scene.config], { env: scene.env }), {
    code: 1,
    stdout: "",
    stderr:
      "cannot listen on listen.address: another program listens there already; stop it or choose another port\n",
  });
});

Deno.test("start says that its address is not this machine's", async () => {
  // A documentation address (RFC 5737): no machine has it.
  await using scene = await configured((toml) => toml.replace("127.0.0.1:0", "192.0.2.1:6432"));
  assert.deepEqual(await run(["start", "--config", scene.config], { env: scene.env }), {
    code: 1,
    stdout: "",
    stderr:
      "cannot listen on listen.address: this machine has no such address; choose one it has, or 0.0.0.0 for all\n",
  });
});

Deno.test.each<["SIGTERM" | "SIGINT"]>([["SIGTERM"], ["SIGINT"]])(
  "A1 start serves TLS with net and read permission alone until %s, and exits with 0",
  async (signal) => {
    await using scene = await configured();
    const child = command(["start", "--config", scene.config], { env: scene.env }).spawn();
    const [port, rest] = await listeningPort(child.stderr);
    const client = await RawClient.connect(port);
    await client.startTls({ ca: authority.certificatePem, alpn: ["postgresql"] });
    await client.end();
    child.kill(signal);
    const { code } = await child.status;
    await child.stdout.cancel();
    await rest.cancel();
    assert.equal(code, 0);
  },
);

Deno.test("start loads its configuration anew at SIGHUP, all or nothing, and says so", async () => {
  await using scene = await configured();
  const { config } = scene;
  const child = command(["start", "--config", config], { env: scene.env }).spawn();
  const log = new LogReader(child.stderr);
  const [, port] = await log.until(/listening address=127\.0\.0\.1:(\d+)/);
  const logIn = async () => {
    await using client = await RawClient.connect(Number(port));
    await client.startTls({ ca: authority.certificatePem, alpn: ["postgresql"] });
  };
  const good = await Deno.readTextFile(config);

  await Deno.writeTextFile(config, good.replace("backend =", "bakend =") + "[logg]\n");
  child.kill("SIGHUP");
  const [failed] = await log.until(/error configuration not reloaded.*\n/);
  for (
    const mistake of [
      `${config}:19: rules[0].bakend is not a known key: did you mean backend?`,
      `${config}:20: logg is not a known key: did you mean log?`,
    ]
  ) assert(failed.includes(mistake), failed);
  await logIn();

  await Deno.writeTextFile(config, good.replace(scene.issuerHost, "127.0.0.1:9"));
  child.kill("SIGHUP");
  await log.until(/error configuration not reloaded.*issuers\[0\]\.url cannot be used.*\n/);

  await Deno.writeTextFile(config, good.replace('"127.0.0.1:0"', '["127.0.0.1:0", "192.0.2.1:1"]'));
  child.kill("SIGHUP");
  await log.until(
    /error configuration not reloaded.*cannot listen on listen\.address: this machine has no.*\n/,
  );

  await Deno.writeTextFile(config, good + '[log]\nformat = "json"\n');
  child.kill("SIGHUP");
  await log.until(/"message":"configuration reloaded","sessions":0}\n/);
  await logIn();
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await child.stdout.cancel();
  await log.end();
});

interface RunOptions {
  readonly permissions?: readonly string[];
  readonly env?: Record<string, string>;
}

function command(
  args: readonly string[],
  { permissions = ["--allow-net", "--allow-read"], env }: RunOptions = {},
) {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function run(args: readonly string[], options?: RunOptions) {
  const { code, stdout, stderr } = await command(args, options).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** A configuration that is good until `change` has been at it, with a real issuer. */
async function configured(change: (toml: string) => string = (toml) => toml) {
  await using resources = new AsyncDisposableStack();
  const issuer = resources.use(await OidcIssuer.start({ authority }));
  const directory = resources.use(await tempDirectory());
  const config = join(directory.path, "config.toml");
  const toml = `
[listen]
address = "127.0.0.1:0"
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "corp"
url = "${issuer.url}"
audience = ["pg-auth-proxy"]

[[backends]]
name = "main"
url = "postgres://app@localhost:5432/app"

[[rules]]
issuer = "corp"
match = '/(.*)/'
backend = "main"
`;
  const files = {
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "ca.crt": authority.certificatePem,
    "config.toml": change(toml),
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(join(directory.path, name), text);
  }
  const moved = resources.move();
  return {
    config,
    issuerHost: new URL(issuer.url).host,
    env: { DENO_CERT: join(directory.path, "ca.crt") },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** The port of the log's line `listening`, and the log behind it. */
async function listeningPort(stderr: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const reader = stderr.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const found = /listening address=127\.0\.0\.1:(\d+)/.exec(text);
    if (found !== null) {
      reader.releaseLock();
      return [Number(found[1]), stderr] as const;
    }
    const { value, done } = await reader.read();
    assert(!done, `the program ended: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
}

/** A log as it is written. */
class LogReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(stderr: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stderr.getReader();
  }

  /** Waits for a text behind the one found last. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#text);
      if (found !== null) {
        this.#text = this.#text.slice(found.index + found[0].length);
        return found;
      }
      const { value, done } = await this.#reader.read();
      assert(!done, `the program ended: ${this.#text}`);
      this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  /** Reads what is left. */
  async end(): Promise<void> {
    while (!(await this.#reader.read()).done);
  }
}
