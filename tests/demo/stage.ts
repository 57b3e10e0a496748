import { join } from "node:path";
import { createAuthority } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { postgresBinaries } from "../support/postgres_binaries.ts";
import { configurationText } from "./configuration.ts";
import { ProxyProcess } from "./proxy_process.ts";
import { TokenFiles } from "./token_files.ts";
import { ROLES } from "./visitors.ts";

const MAJOR = 18;

/** Tells the person who watches what happens. */
export type Tell = (line: string) => void;

/** What stands when the demo is ready. */
export interface Stage {
  readonly proxy: ProxyProcess;
  readonly proxyPort: number;
  readonly tokens: TokenFiles;
  /** The authority that has signed every certificate here. */
  readonly caFile: string;
  readonly caPem: string;
}

/** Starts PostgreSQL, an issuer and the proxy; all go, with their files, when `resources` does. */
export async function setStage(
  resources: AsyncDisposableStack,
  { tell, signal }: { tell: Tell; signal: AbortSignal },
): Promise<Stage> {
  const directory = await Deno.makeTempDir({ prefix: "pg-auth-proxy-demo-" });
  resources.defer(() => Deno.remove(directory, { recursive: true }));
  const authority = await createAuthority("pg-auth-proxy demo");
  const server = await authority.issueForLoopback();
  const caPem = authority.certificatePem;
  const caFile = join(directory, "ca.crt");
  const password = crypto.getRandomValues(new Uint8Array(24)).toBase64({ alphabet: "base64url" });

  await tellIfSlow(postgresBinaries(MAJOR), () => tell(`   Downloading PostgreSQL ${MAJOR} (23 MB)...`));
  signal.throwIfAborted();
  const cluster = resources.use(
    await PostgresCluster.start({
      major: MAJOR,
      tls: server,
      hba: ["127.0.0.1/32", "::1/128"].map((address) => `hostssl shop all ${address} scram-sha-256`),
    }),
  );
  for (const role of ROLES) await cluster.sql(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
  await cluster.sql("CREATE DATABASE shop OWNER shop_owner");
  tell(`1. PostgreSQL ${MAJOR} is on localhost:${cluster.port}: TLS and SCRAM only`);
  tell(`   database shop, roles ${ROLES.join(", ")}`);

  signal.throwIfAborted();
  const issuer = resources.use(await OidcIssuer.start({ authority }));
  tell(`2. An OpenID Connect issuer is on ${issuer.url}`);

  const config = join(directory, "config.toml");
  const proxyPort = freePort();
  await Deno.mkdir(join(directory, "secrets"), { mode: 0o700 });
  await writeFiles(directory, {
    "ca.crt": caPem,
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "secrets/shop": password,
    "config.toml": configurationText({ proxyPort, clusterPort: cluster.port, issuerUrl: issuer.url }),
  });
  const program = { config, caFile, logFile: join(directory, "proxy.log") };
  signal.throwIfAborted();
  const proxy = resources.use(await ProxyProcess.start(program));
  tell(`3. pg-auth-proxy is on localhost:${proxyPort}, started by`);
  tell(`     ${ProxyProcess.commandLine(program)}`);
  tell(`   its configuration  ${config}`);
  tell(`   its log            ${program.logFile}`);

  signal.throwIfAborted();
  const tokens = resources.use(await TokenFiles.write({ directory, issuer }));
  return { proxy, proxyPort, tokens, caFile, caPem };
}

async function writeFiles(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(join(directory, name), text, { mode: 0o600 });
  }
}

/** What is already on this machine is found at once: then there is nothing to wait for, and nothing is said. */
async function tellIfSlow(work: Promise<unknown>, tell: () => void): Promise<void> {
  const timer = setTimeout(tell, 200);
  try {
    await work;
  } finally {
    clearTimeout(timer);
  }
}
