import { exportSPKI, generateKeyPair, SignJWT } from "jose";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { giveToServerUser } from "../support/server_user.ts";
import type { Toolbox } from "./tools.ts";

/** The role that every contender logs in to PostgreSQL as, by SCRAM-SHA-256. */
export const ROLE = "app_scram";

/** That role's password. */
export const PASSWORD = PASSWORDS[ROLE];

/** The database that pgbench's tables are in. */
export const DATABASE = "postgres";

/** How tokens are signed here. */
export type TokenAlgorithm = "ES256" | "RS256";

const TOKEN_ALGORITHMS: readonly TokenAlgorithm[] = ["ES256", "RS256"];

/** Enough for the measure of idle sessions, which has a backend for each. */
const MAX_CONNECTIONS = 1_200;

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
}

/** Who vouches for the tokens, and for whom they are. */
export const ISSUER = { issuer: "bench.example.com", audience: "pg-auth-proxy", subject: "bench" } as const;

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
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${directory}/${name}`, text, { mode: 0o600 });
  }
  await giveToServerUser(directory, ...Object.keys(files).map((name) => `${directory}/${name}`));
  await fillTables(cluster, toolbox);
  return {
    toolbox,
    cluster,
    directory,
    authorityPem: authority.certificatePem,
    certificateFile: `${directory}/server.crt`,
    privateKeyFile: `${directory}/server.key`,
    publicKeyFiles: keys.map(({ algorithm }) => `${directory}/${algorithm}.pem`),
    tokens: Object.fromEntries(keys.map(({ algorithm, token }) => [algorithm, token])) as Stage["tokens"],
  };
}

async function startCluster(server: IssuedCertificate): Promise<PostgresCluster> {
  return await PostgresCluster.start({
    major: 18,
    tls: { certificatePem: server.certificatePem, keyPem: server.keyPem },
    settings: {
      max_connections: MAX_CONNECTIONS,
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
