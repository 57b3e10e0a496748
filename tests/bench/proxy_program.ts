import { freePort } from "../support/free_port.ts";
import type { Contender, Credentials, Transport } from "./contender.ts";
import { Program } from "./program.ts";
import { SessionClient } from "./session_client.ts";
import { DATABASE, ISSUER, ROLE, type Stage } from "./stage.ts";
import type { Variant } from "./variant.ts";

/** The proxy, as the real program: a child process, started as its `deno task start` says. */
export function proxyProgram(stage: Stage, variant: Variant): Contender {
  return {
    name: variant.name,
    isProgram: true,
    async start(transport, resources) {
      const port = freePort();
      const file = `${stage.directory}/proxy-${port}.toml`;
      await Deno.writeTextFile(file, configuration(stage, { port, transport }));
      const program = resources.use(Program.start({
        command: Deno.execPath(),
        args: [...variant.args, "--config", file],
        cwd: variant.directory,
        logFile: `${stage.directory}/proxy-${port}.log`,
        env: variant.env,
      }));
      const tokens = { ES256: holderOf(stage.tokens.ES256), RS256: holderOf(stage.tokens.RS256) };
      const entrance = { port, transport, simpleCredentials: tokens.ES256 };
      await program.ready(async () => (await SessionClient.open(entrance, stage.authorityPem)).close());
      return { ...entrance, program, tokens, credentials: tokens.ES256 };
    },
  };
}

function holderOf(token: string): Credentials {
  return { user: ISSUER.subject, password: token };
}

function configuration(
  { cluster, certificateFile, privateKeyFile, publicKeyFiles }: Stage,
  { port, transport }: { port: number; transport: Transport },
): string {
  return `
[listen]
address = "127.0.0.1:${port}"
${
    transport === "TLS"
      ? `certificate = "${certificateFile}"\nprivate_key = "${privateKeyFile}"`
      : "insecure_plaintext = true"
  }

[[issuers]]
name = "bench"
signing_keys = ${JSON.stringify(publicKeyFiles)}
issuer = "${ISSUER.issuer}"
audience = ["${ISSUER.audience}"]

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
