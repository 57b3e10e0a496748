import { Program } from "./program.ts";
import { DATABASE, ROLE, type Stage } from "./stage.ts";
import { AUDIENCE, BEARER, ISSUERS, type TokenHouse } from "./token_house.ts";
import { readVariant } from "./variant.ts";

/** Who is asked about tokens: it finds them all good, so that only the asking is measured. */
const VALIDATOR = `
let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\\n");
  rest = lines.pop();
  for (const line of lines) {
    const { id } = JSON.parse(line);
    const expires = Date.now() / 1000 + 7200;
    console.log(JSON.stringify({ id, authorized: true, identity: "${BEARER}", expires }));
  }
}
`;

/** Starts the proxy, as the real program, with every way in: which one is taken, the startup user says. */
export async function startEveryWayProxy(
  { cluster, directory, certificateFile, privateKeyFile }: Stage,
  { house, port }: { house: TokenHouse; port: number },
): Promise<Program> {
  const files: Record<string, string> = {
    "by-way.pem": house.publicKeyPem,
    "by-way.secret": "secret",
    "by-way.js": VALIDATOR,
    "by-way.toml": `
[listen]
address = "127.0.0.1:${port}"
certificate = "${certificateFile}"
private_key = "${privateKeyFile}"
client_certificate = "request"

[limits]
discoveries_per_minute = 0

[[ways_in]]
users = ["oauthbearer"]
method = "oauthbearer"
issuer = "signed"
scope = "openid"

[[issuers]]
name = "signed"
signing_keys = ["by-way.pem"]
issuer = "${ISSUERS.signed}"
audience = ["${AUDIENCE}"]

[[ways_in]]
users = ["opaque"]
method = "password"
issuer = "opaque"

[[issuers]]
name = "opaque"
issuer = "${ISSUERS.opaque}"
audience = ["${AUDIENCE}"]
insecure_http = true

[issuers.introspection]
endpoint = "${house.introspectionUrl}"
client_id = "bench"
client_secret_file = "by-way.secret"

[[ways_in]]
users = ["program"]
method = "password"
issuer = "program"

[[issuers]]
name = "program"

[issuers.validator]
command = [${JSON.stringify(Deno.execPath())}, "run", "--no-config", "by-way.js"]

[[backends]]
name = "bench"
url = "postgres://${ROLE}@127.0.0.1:${cluster.port}/${DATABASE}?sslmode=disable"
password_file = "password"
${["signed", "opaque", "program"].map(ruleOf).join("")}`,
  };
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${directory}/${name}`, text);
  const variant = await readVariant(`--allow-run=${Deno.execPath()}`);
  return Program.start({
    command: Deno.execPath(),
    args: [...variant.args, "--config", `${directory}/by-way.toml`],
    cwd: variant.directory,
    logFile: `${directory}/proxy-by-way.log`,
    env: variant.env,
  });
}

function ruleOf(issuer: string): string {
  return `
[[rules]]
issuer = "${issuer}"
match = "${BEARER}"
backend = "bench"
`;
}
