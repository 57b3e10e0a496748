import { freePort } from "../support/free_port.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { serverUser } from "../support/server_user.ts";
import type { Contender } from "./contender.ts";
import { Program } from "./program.ts";
import { MAX_SESSIONS, PASSWORD, ROLE, type Stage, writeForServerUser } from "./stage.ts";
import type { Tool } from "./tools.ts";

/** The role that every contender logs in to PostgreSQL as. */
export const SCRAM_LOGIN = { user: ROLE, password: PASSWORD };

/** It needs no password: a client that sends one in clear would be asked for SCRAM as any other role. */
export const TRUST_LOGIN = { user: "app_trust", password: PASSWORDS.app_cleartext };

/** No program in between. */
export function direct({ cluster }: Stage): Contender {
  return {
    name: "direct",
    kind: "direct",
    loops: 1,
    transports: ["plain", "TLS", "sslnegotiation=direct"],
    launch: () =>
      Promise.resolve({
        port: cluster.port,
        programs: [],
        credentials: SCRAM_LOGIN,
        simpleCredentials: TRUST_LOGIN,
      }),
  };
}

/**
 * HAProxy in TCP mode: it copies bytes and knows nothing of them, so that TLS after an SSLRequest is PostgreSQL's own.
 * TLS that comes at once it takes off.
 */
export function haproxy(stage: Stage): Contender {
  return {
    name: "haproxy",
    kind: "peer",
    loops: 1,
    transports: ["plain", "TLS", "sslnegotiation=direct"],
    async launch(transport, resources) {
      const port = freePort();
      const pem = await Deno.readTextFile(stage.certificateFile) +
        await Deno.readTextFile(stage.privateKeyFile);
      const certificate = await writeForServerUser(stage, { name: "haproxy.pem", text: pem });
      const tls = transport === "sslnegotiation=direct" ? ` ssl crt ${certificate} alpn postgresql` : "";
      const file = await writeForServerUser(stage, {
        name: `haproxy-${port}.cfg`,
        text: `
global
  nbthread 1
  maxconn ${MAX_SESSIONS}
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen postgres
  bind 127.0.0.1:${port}${tls}
  server postgres 127.0.0.1:${stage.cluster.port}
`,
      });
      const program = resources.use(startPeer(stage, { tool: "haproxy", args: ["-db", "-f", file] }));
      return {
        port,
        programs: [program],
        credentials: SCRAM_LOGIN,
        simpleCredentials: TRUST_LOGIN,
      };
    },
  };
}

/** stunnel, which answers the SSLRequest, takes TLS off and copies bytes. */
export function stunnel(stage: Stage): Contender {
  return {
    name: "stunnel",
    kind: "peer",
    loops: 1,
    transports: ["TLS"],
    async launch(_transport, resources) {
      const port = freePort();
      const file = await writeForServerUser(stage, {
        name: `stunnel-${port}.conf`,
        text: `
foreground = quiet
pid =
syslog = no
debug = 3
[postgres]
protocol = pgsql
accept = 127.0.0.1:${port}
connect = 127.0.0.1:${stage.cluster.port}
cert = ${stage.certificateFile}
key = ${stage.privateKeyFile}
`,
      });
      const program = resources.use(startPeer(stage, { tool: "stunnel", args: [file] }));
      return {
        port,
        programs: [program],
        credentials: SCRAM_LOGIN,
        simpleCredentials: TRUST_LOGIN,
      };
    },
  };
}

/** Starts a program of others, as the user that PostgreSQL runs as: PgBouncer refuses to run as root. */
export function startPeer(
  { toolbox, directory }: Stage,
  { tool, args }: { tool: Tool; args: readonly string[] },
): Program {
  const command = toolbox.get(tool);
  if (command === undefined) throw new Error(`There is no ${tool}`);
  return Program.start({
    command,
    args,
    cwd: directory,
    logFile: `${directory}/${tool}.log`,
    user: serverUser(),
  });
}
