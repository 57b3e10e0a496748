import { freePort } from "../support/free_port.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { giveToServerUser, serverUser } from "../support/server_user.ts";
import type { Contender, Transport } from "./contender.ts";
import { Program } from "./program.ts";
import { DATABASE, PASSWORD, ROLE, type Stage } from "./stage.ts";

const SCRAM_LOGIN = { user: ROLE, password: PASSWORD };

// It needs no password: a client that sends one in clear would be asked for SCRAM as any other role.
const TRUST_LOGIN = { user: "app_trust", password: PASSWORDS.app_cleartext };

/** No program in between. */
export function direct({ cluster }: Stage): Contender {
  return {
    name: "direct",
    isProgram: false,
    start: () =>
      Promise.resolve({ port: cluster.port, credentials: SCRAM_LOGIN, simpleCredentials: TRUST_LOGIN }),
  };
}

/** HAProxy in TCP mode: it copies bytes and knows nothing of them, so that TLS is PostgreSQL's own. */
export function haproxy(stage: Stage): Contender {
  return {
    name: "haproxy",
    isProgram: true,
    async start(_transport, resources) {
      const port = freePort();
      const file = await configure(stage, {
        name: `haproxy-${port}.cfg`,
        text: `
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen postgres
  bind 127.0.0.1:${port}
  server postgres 127.0.0.1:${stage.cluster.port}
`,
      });
      const program = resources.use(start(stage, { tool: "haproxy", args: ["-db", "-f", file] }));
      await program.ready(() => knock(port));
      return { port, program, credentials: SCRAM_LOGIN, simpleCredentials: TRUST_LOGIN };
    },
  };
}

/** PgBouncer in session mode, with a new connection to PostgreSQL for each of a client, as the proxy has it. */
export function pgbouncer(stage: Stage): Contender {
  return {
    name: "PgBouncer",
    isProgram: true,
    async start(transport, resources) {
      const port = freePort();
      const users = await configure(stage, { name: `users-${port}.txt`, text: `"${ROLE}" "${PASSWORD}"\n` });
      const file = await configure(stage, {
        name: `pgbouncer-${port}.ini`,
        text: pgbouncerIni(stage, { port, users, transport }),
      });
      const program = resources.use(start(stage, { tool: "pgbouncer", args: [file] }));
      await program.ready(() => knock(port));
      return { port, program, credentials: SCRAM_LOGIN, simpleCredentials: SCRAM_LOGIN };
    },
  };
}

// auth_type plain: the password travels inside TLS, as the proxy's token does.
function pgbouncerIni(
  { cluster, certificateFile, privateKeyFile }: Stage,
  { port, users, transport }: { port: number; users: string; transport: Transport },
): string {
  const tls = `
client_tls_sslmode = require
client_tls_cert_file = ${certificateFile}
client_tls_key_file = ${privateKeyFile}
`;
  return `
[databases]
${DATABASE} = host=127.0.0.1 port=${cluster.port} dbname=${DATABASE} user=${ROLE} password=${PASSWORD}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = session
server_lifetime = 0
server_reset_query =
max_client_conn = 4000
default_pool_size = 1100
ignore_startup_parameters = extra_float_digits
${transport === "TLS" ? tls : ""}
`;
}

function start(
  { toolbox, directory }: Stage,
  { tool, args }: { tool: "haproxy" | "pgbouncer"; args: readonly string[] },
): Program {
  const command = toolbox.get(tool);
  if (command === undefined) throw new Error(`There is no ${tool}`);
  // PgBouncer refuses to run as root.
  return Program.start({
    command,
    args,
    cwd: directory,
    logFile: `${directory}/${tool}.log`,
    user: serverUser(),
  });
}

async function configure(
  { directory }: Stage,
  { name, text }: { name: string; text: string },
): Promise<string> {
  const file = `${directory}/${name}`;
  await Deno.writeTextFile(file, text, { mode: 0o600 });
  await giveToServerUser(file);
  return file;
}

async function knock(port: number): Promise<void> {
  (await Deno.connect({ hostname: "127.0.0.1", port })).close();
}
