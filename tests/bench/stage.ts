import { exportSPKI, generateKeyPair, SignJWT } from "jose";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { giveToServerUser } from "../support/server_user.ts";
import { hasCompiler } from "../support/oauth_validator.ts";
import { TokenHook } from "../support/token_hook.ts";
import { waitUntil } from "../support/wait_until.ts";
import { hasLibpq18, type Toolbox } from "./tools.ts";

/** The role that every contender logs in to PostgreSQL as, by SCRAM-SHA-256. */
export const ROLE = "app_scram";

/** That role's password. */
export const PASSWORD = PASSWORDS[ROLE];

/** The database that pgbench's tables are in. */
export const DATABASE = "postgres";

/** How tokens are signed here. */
export type TokenAlgorithm = "ES256" | "RS256";

const TOKEN_ALGORITHMS: readonly TokenAlgorithm[] = ["ES256", "RS256"];

/** The startup user that presents its token by OAUTHBEARER; every other presents it as a password. */
export const OAUTHBEARER_USER = "oauthbearer";

/** How many sessions there can be at a time: PostgreSQL has a process for each. */
export const MAX_SESSIONS = 6_000;

/** What every measure stands on. */
export interface Stage {
  readonly toolbox: Toolbox;
  readonly cluster: PostgresCluster;
  /** A directory for everybody's files, which the user that the contenders run as can read. */
  readonly directory: string;
  /** Who signed the certificate. */
  readonly authorityPem: string;
  /** The same certificate for all: ECDSA P-256. */
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  readonly publicKeyFiles: readonly string[];
  readonly tokens: Readonly<Record<TokenAlgorithm, string>>;
  /** By which programs of libpq 18 present a token by OAUTHBEARER; undefined where there are none, or no C compiler. */
  readonly tokenHook?: TokenHook;
}

/** Who vouches for the tokens, and for whom they are. */
export const ISSUER = {
  issuer: "https://bench.example.com",
  audience: "pg-auth-proxy",
  subject: "bench",
} as const;

/** Sets up PostgreSQL with pgbench's tables, certificates and tokens. */
export async function setStage(toolbox: Toolbox, resources: AsyncDisposableStack): Promise<Stage> {
  const authority = await createAuthority("pg-auth-proxy bench");
  const server = await authority.issueForLoopback();
  const directory = await Deno.makeTempDir({ prefix: "pg-auth-proxy-bench-" });
  resources.defer(() => Deno.remove(directory, { recursive: true }));
  const cluster = resources.use(await startCluster(server));
  const keys = await Promise.all(TOKEN_ALGORITHMS.map(issueToken));
  const files: Record<string, string> = {
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "password": PASSWORD,
    ...Object.fromEntries(keys.map(({ algorithm, publicKeyPem }) => [`${algorithm}.pem`, publicKeyPem])),
  };
  await giveToServerUser(directory);
  for (const [name, text] of Object.entries(files)) await writeForServerUser({ directory }, { name, text });
  await fillTables(cluster, toolbox);
  const tokenHook = hasLibpq18() && hasCompiler() ? resources.use(await TokenHook.compile()) : undefined;
  return {
    toolbox,
    cluster,
    directory,
    authorityPem: authority.certificatePem,
    certificateFile: `${directory}/server.crt`,
    privateKeyFile: `${directory}/server.key`,
    publicKeyFiles: keys.map(({ algorithm }) => `${directory}/${algorithm}.pem`),
    tokens: Object.fromEntries(keys.map(({ algorithm, token }) => [algorithm, token])) as Stage["tokens"],
    tokenHook,
  };
}

/** Writes a file that the user can read whom PostgreSQL and the contenders run as; returns its path. */
export async function writeForServerUser(
  { directory }: Pick<Stage, "directory">,
  { name, text }: { name: string; text: string },
): Promise<string> {
  const path = `${directory}/${name}`;
  await Deno.writeTextFile(path, text, { mode: 0o600 });
  await giveToServerUser(path);
  return path;
}

/** Waits until PostgreSQL has ended the backends of all who have left. */
export async function untilAllHaveLeft({ cluster }: Stage): Promise<void> {
  const others =
    "SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
  await waitUntil(async () => (await cluster.sql(others)).length === 0, {
    what: "the last backend to end",
    timeoutMs: 60_000,
    intervalMs: 200,
  });
}

async function startCluster(server: IssuedCertificate): Promise<PostgresCluster> {
  return await PostgresCluster.start({
    major: 18,
    tls: { certificatePem: server.certificatePem, keyPem: server.keyPem },
    settings: {
      max_connections: MAX_SESSIONS,
      shared_buffers: "512MB",
      log_connections: false,
      log_disconnections: false,
    },
  });
}

async function fillTables(cluster: PostgresCluster, toolbox: Toolbox): Promise<void> {
  const pgbench = toolbox.get("pgbench");
  if (pgbench === undefined) return;
  const { success, stderr } = await new Deno.Command(pgbench, {
    args: ["--initialize", "--quiet", "--scale=10"],
    env: {
      PGHOST: cluster.socketDirectory,
      PGPORT: String(cluster.port),
      PGUSER: "postgres",
      PGDATABASE: DATABASE,
    },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`pgbench has not made its tables: ${new TextDecoder().decode(stderr)}`);
  await cluster.sql("GRANT pg_read_all_data, pg_write_all_data TO app_scram, app_trust");
}

async function issueToken(algorithm: TokenAlgorithm) {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const token = await new SignJWT({ aud: ISSUER.audience, sub: ISSUER.subject, iss: ISSUER.issuer })
    .setProtectedHeader({ alg: algorithm, typ: "at+jwt" })
    .setIssuedAt()
    .setExpirationTime("2h")
    .sign(privateKey);
  return { algorithm, token, publicKeyPem: await exportSPKI(publicKey) };
}
