import type { TLSSocket } from "node:tls";
import pg from "pg";

/** How a client comes in. */
export interface VisitOptions {
  readonly port: number;
  readonly caPem: string;
  readonly user: string;
  readonly token: string;
}

/** What a client found behind the proxy. */
export interface Seen {
  readonly currentUser: string;
  readonly sessionUser: string;
  /** How the backend was logged in to, and as whom. */
  readonly systemUser: string;
  readonly database: string;
  /** Version and cipher between the client and the proxy. */
  readonly clientTls: string;
  /** Version and cipher between the proxy and the backend; undefined without TLS. */
  readonly backendTls: string | undefined;
}

const WHO_AM_I = `
  SELECT current_user AS "currentUser", session_user AS "sessionUser", system_user AS "systemUser",
    current_database() AS database, version || ' ' || cipher AS "backendTls"
  FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;

/** Logs in with the driver `pg` and looks around. */
export async function visit(options: VisitOptions): Promise<Seen> {
  const client = await connect(options);
  try {
    const { rows: [row] } = await client.query(WHO_AM_I);
    const { connection } = client as unknown as { connection: { stream: TLSSocket } };
    const { stream } = connection;
    return {
      ...row,
      backendTls: row.backendTls ?? undefined,
      clientTls: `${stream.getProtocol()} ${stream.getCipher().name}`,
    };
  } finally {
    await client.end();
  }
}

/** Logs in and expects to be refused; returns what the client reads, or undefined if it was let in. */
export async function tryToVisit(options: VisitOptions): Promise<string | undefined> {
  try {
    const client = await connect(options);
    await client.end();
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof pg.DatabaseError)) throw thrown;
    const { severity, message, code } = thrown as pg.DatabaseError;
    return `${severity}: ${message} (SQLSTATE ${code})`;
  }
}

async function connect({ port, caPem, user, token }: VisitOptions): Promise<pg.Client> {
  const client = new pg.Client({
    host: "localhost",
    port,
    user,
    password: token,
    database: "shop",
    ssl: { ca: caPem },
    connectionTimeoutMillis: 10_000,
  });
  await client.connect();
  return client;
}
