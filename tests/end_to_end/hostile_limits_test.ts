import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { exportSPKI, generateKeyPair } from "jose";
import { createAuthority } from "../support/certificates.ts";
import { RawClient } from "../support/hostile_peer.ts";
import { SSL_REQUEST, text } from "../support/raw_messages.ts";
import { type TempDirectory, tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));

/** Few enough to run out of at once, and enough for Deno itself. */
const DESCRIPTORS = 64;

const SECURE = `certificate = "server.crt"
private_key = "server.key"`;

Deno.test.each([
  ["with TLS", SECURE, "S"],
  ["without TLS", "insecure_plaintext = true", "N"],
])(
  "A13 W13 a proxy %s that runs out of file descriptors pauses, says so, and serves again",
  async (_name, listen, answer) => {
    await using directory = await tempDirectory();
    await writeConfiguration(directory, listen);
    await using program = await startProgram(directory);

    await using crowd = new AsyncDisposableStack();
    const clients = [];
    for (let index = 0; index < 2 * DESCRIPTORS; index++) {
      clients.push(crowd.use(await RawClient.connect(program.port)));
    }
    await waitUntil(() => program.log().includes("accepting connections paused"), { what: "the pause" });
    assert.equal(program.hasExited(), false);
    // Whoever collects metrics asks in the worst of moments, too.
    const askedInVain = metricsOf(program).catch(() => {});

    // Those accepted are served all the time.
    await clients[0].send(SSL_REQUEST);
    assert.deepEqual(await clients[0].receive(1), text(answer));

    await crowd.disposeAsync();
    await using late = await RawClient.connect(program.port);
    await late.send(SSL_REQUEST);
    assert.deepEqual(await late.receive(1), text(answer));
    assert.equal(program.hasExited(), false);

    await askedInVain;
    const metrics = await waitUntil(() => metricsOf(program), { what: "the metrics" });
    assert.match(metrics, /^pg_auth_proxy_accept_pauses_total [1-9]/m);
  },
);

async function metricsOf({ adminPort }: Program): Promise<string> {
  const signal = AbortSignal.timeout(2_000);
  return await (await fetch(`http://127.0.0.1:${adminPort}/metrics`, { signal })).text();
}

async function writeConfiguration(directory: TempDirectory, listen: string): Promise<void> {
  const authority = await createAuthority("limits");
  const server = await authority.issueForLoopback();
  const { publicKey } = await generateKeyPair("ES256", { extractable: true });
  await directory.write("server.crt", server.certificatePem);
  await directory.write("server.key", server.keyPem);
  await directory.write("issuer.pem", await exportSPKI(publicKey));
  await directory.write("password", "unused");
  await directory.write(
    "config.toml",
    `
[listen]
address = "127.0.0.1:0"
${listen}

[admin]
address = "127.0.0.1:0"

[[issuers]]
name = "offline"
signing_keys = ["issuer.pem"]
issuer = "offline"
audience = ["pg-auth-proxy"]

[[backends]]
name = "main"
url = "postgres://app@localhost:1/postgres?sslmode=disable"
password_file = "password"

[[rules]]
issuer = "offline"
match = "alice"
backend = "main"
`,
  );
}

interface Program extends AsyncDisposable {
  readonly port: number;
  readonly adminPort: number;
  /** What it has written to standard error so far. */
  log(): string;
  hasExited(): boolean;
}

/** Runs the program itself, with few file descriptors. */
async function startProgram(directory: TempDirectory): Promise<Program> {
  const start = [Deno.execPath(), "run", "--no-prompt", "--allow-net", "--allow-read", MAIN, "start"];
  const child = new Deno.Command("sh", {
    // A shell of its own, because only a process itself can lower its limit.
    args: [
      "-c",
      `ulimit -n ${DESCRIPTORS}; exec "$@"`,
      "sh",
      ...start,
      "--config",
      `${directory.path}/config.toml`,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let log = "";
  let hasExited = false;
  const reading = (async () => {
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) log += chunk;
  })();
  const exited = child.status.then(() => hasExited = true);
  const portOf = (what: string) => new RegExp(`${what} address=127\\.0\\.0\\.1:(\\d+)`).exec(log)?.[1];
  const ports = () => [portOf("listening"), portOf("listening for admin")];
  const stop = async () => {
    if (!hasExited) child.kill("SIGKILL");
    await Promise.all([exited, reading]);
  };
  try {
    await waitUntil(() => ports().every((port) => port !== undefined) || hasExited, {
      what: "the program to listen",
    });
    if (hasExited) throw new Error(`The program did not start\n${log}`);
    const [port, adminPort] = ports().map(Number);
    return {
      port,
      adminPort,
      log: () => log,
      hasExited: () => hasExited,
      [Symbol.asyncDispose]: stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}
