import { freePort } from "../support/free_port.ts";
import type { Contender, Credentials, Transport } from "./contender.ts";
import { Program } from "./program.ts";
import { DATABASE, ISSUER, OAUTHBEARER_USER, ROLE, type Stage } from "./stage.ts";
import type { Variant } from "./variant.ts";

/** How the proxy is set up. */
export interface ProxyOptions {
  readonly variant: Variant;
  /** Event loops; undefined: what the configuration says of itself. */
  readonly workers?: number;
  /** It tells of itself. */
  readonly isWatched?: boolean;
}

/** The proxy, as the real program: a child process, started as its `deno task start` says. */
export function proxyProgram(stage: Stage, options: ProxyOptions): Contender {
  const { variant, workers } = options;
  return {
    name: workers === undefined ? variant.name : `${variant.name} workers=${workers}`,
    kind: "proxy",
    loops: workers ?? 1,
    transports: ["plain", "TLS", "sslnegotiation=direct"],
    async launch(transport, resources) {
      const [port, adminPort] = [freePort(), freePort()];
      const file = `${stage.directory}/proxy-${port}.toml`;
      await Deno.writeTextFile(file, configuration(stage, { ...options, port, adminPort, transport }));
      const program = resources.use(Program.start({
        command: Deno.execPath(),
        args: [...variant.args, "--config", file],
        cwd: variant.directory,
        logFile: `${stage.directory}/proxy-${port}.log`,
        env: variant.env,
      }));
      const tokens = {
        ES256: holderOf(stage.tokens.ES256),
        RS256: holderOf(stage.tokens.RS256),
        ...(stage.tokenHook && { OAUTHBEARER: oauthHolder(stage) }),
      };
      return {
        port,
        programs: [program],
        tokens,
        credentials: tokens.ES256,
        simpleCredentials: tokens.ES256,
        adminUrl: `http://127.0.0.1:${adminPort}`,
      };
    },
  };
}

/** Whether this proxy knows the key `workers`: an older one may be measured too. */
export async function knowsWorkers(stage: Stage, variant: Variant): Promise<boolean> {
  const file = `${stage.directory}/workers.toml`;
  const places = { port: 1, adminPort: 2, transport: "plain" } as const;
  await Deno.writeTextFile(file, configuration(stage, { variant, workers: 2, ...places }));
  const start = variant.args.indexOf("start");
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...variant.args.slice(0, start), "permissions", "--config", file],
    cwd: variant.directory,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

function holderOf(token: string): Credentials {
  return { user: ISSUER.subject, password: token };
}

function oauthHolder({ tokens, tokenHook }: Stage): Credentials {
  return {
    user: OAUTHBEARER_USER,
    password: "",
    conninfo: `oauth_issuer=${ISSUER.issuer} oauth_client_id=bench`,
    environment: tokenHook!.environment(tokens.ES256),
  };
}

function configuration(
  { cluster, certificateFile, privateKeyFile, publicKeyFiles }: Stage,
  { port, adminPort, transport, workers, isWatched }: ProxyOptions & {
    port: number;
    adminPort: number;
    transport: Transport;
  },
): string {
  const tls = `certificate = "${certificateFile}"\nprivate_key = "${privateKeyFile}"`;
  return `
[listen]
address = "127.0.0.1:${port}"
${transport === "plain" ? "insecure_plaintext = true" : tls}
${workers === undefined ? "" : `\n[service]\nworkers = ${workers}\n`}
${isWatched ? `\n[admin]\naddress = "127.0.0.1:${adminPort}"\n` : ""}
${LIMITS}
[[issuers]]
name = "bench"
signing_keys = ${JSON.stringify(publicKeyFiles)}
issuer = "${ISSUER.issuer}"
audience = ["${ISSUER.audience}"]
${transport === "plain" ? "" : OAUTHBEARER}
[[backends]]
name = "bench"
url = "postgres://${ROLE}@127.0.0.1:${cluster.port}/${DATABASE}?sslmode=disable"
password_file = "password"

[[rules]]
issuer = "bench"
match = "${ISSUER.subject}"
backend = "bench"
`;
}

const OAUTHBEARER = `
[[ways_in]]
users = ["${OAUTHBEARER_USER}"]
method = "oauthbearer"
issuer = "bench"
scope = "openid"
`;

// Where one machine plays a thousand clients, the limits of one address would be measured and nothing else.
const LIMITS = `
[limits]
unauthenticated_per_address = 0
discoveries_per_minute = 0
`;
