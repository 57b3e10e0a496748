import { freePort } from "../support/free_port.ts";
import type { Contender, Transport } from "./contender.ts";
import { SCRAM_LOGIN, startPeer } from "./peers.ts";
import { DATABASE, MAX_SESSIONS, PASSWORD, ROLE, type Stage, writeForServerUser } from "./stage.ts";

/** How a PgBouncer is set up. */
export interface PgbouncerOptions {
  readonly name?: string;
  /**
   * How clients log in to it, and it to PostgreSQL: "plain", a password in clear, as the proxy's token comes, and SCRAM with
   * a key derived anew each time; "scram-sha-256", the verifier that PostgreSQL has too, so that it passes on the client's
   * own key and derives none, the cheapest it knows.
   */
  readonly login?: "plain" | "scram-sha-256";
  /** How many share the port. */
  readonly processes?: number;
}

/** PgBouncer in session mode, with a new connection to PostgreSQL for each of a client, as the proxy has it. */
export function pgbouncer(
  stage: Stage,
  { name = "PgBouncer", login = "plain", processes = 1 }: PgbouncerOptions = {},
): Contender {
  return {
    name,
    kind: "peer",
    loops: processes,
    transports: ["plain", "TLS"],
    async launch(transport, resources) {
      const port = freePort();
      const secret = login === "plain" ? PASSWORD : await verifierOf(stage);
      const users = await writeForServerUser(stage, {
        name: `users-${port}.txt`,
        text: `"${ROLE}" "${secret}"\n`,
      });
      const file = await writeForServerUser(stage, {
        name: `pgbouncer-${port}.ini`,
        text: ini(stage, { port, users, transport, login }),
      });
      const programs = Array.from(
        { length: processes },
        () => resources.use(startPeer(stage, { tool: "pgbouncer", args: [file] })),
      );
      const simpleCredentials = login === "plain" ? SCRAM_LOGIN : undefined;
      return { port, programs, credentials: SCRAM_LOGIN, simpleCredentials };
    },
  };
}

/** What PostgreSQL keeps of the role's password. */
async function verifierOf({ cluster }: Stage): Promise<string> {
  const [row] = await cluster.sql("SELECT rolpassword FROM pg_authid WHERE rolname = $1", [ROLE]);
  return row.rolpassword as string;
}

function ini(
  { cluster, certificateFile, privateKeyFile }: Stage,
  { port, users, transport, login }: {
    port: number;
    users: string;
    transport: Transport;
    login: "plain" | "scram-sha-256";
  },
): string {
  const tls = `
client_tls_sslmode = require
client_tls_cert_file = ${certificateFile}
client_tls_key_file = ${privateKeyFile}
`;
  return `
[databases]
${DATABASE} = host=127.0.0.1 port=${cluster.port} dbname=${DATABASE}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
so_reuseport = 1
unix_socket_dir =
auth_type = ${login}
auth_file = ${users}
pool_mode = session
server_lifetime = 0
server_reset_query =
max_client_conn = ${MAX_SESSIONS}
default_pool_size = ${MAX_SESSIONS}
ignore_startup_parameters = extra_float_digits
${transport === "TLS" ? tls : ""}
`;
}
