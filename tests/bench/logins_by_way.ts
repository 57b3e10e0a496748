import { Secret } from "../../lib/secret.ts";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import type { Contender } from "./contender.ts";
import { discoverOnce, type Door, type LoginClient, logInOnce } from "./login_client.ts";
import { Program, usageOf } from "./program.ts";
import type { Effort } from "./rounds.ts";
import { DATABASE, PASSWORD, ROLE, type Stage } from "./stage.ts";
import { median, quantile } from "./statistics.ts";
import { number, printTable, ratio } from "./table.ts";
import { AUDIENCE, BEARER, ISSUERS, openTokenHouse, type TokenHouse } from "./token_house.ts";
import { readVariant } from "./variant.ts";

/** A way to come in, and what is ready before the clock starts. */
interface Way {
  readonly name: string;
  readonly prepare: () => Promise<() => Promise<AsyncDisposable>>;
}

/** What one way came to, over all rounds. */
interface Outcome {
  readonly way: Way;
  /** Milliseconds from connecting to ReadyForQuery, of each login. */
  readonly durationsMs: number[];
  /** Of the proxy, in all these logins. */
  cpuMicros: number;
}

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

/**
 * How long one login takes by each way in, one at a time, each on a TLS connection of its own; behind all of them the proxy
 * logs in to PostgreSQL by SCRAM-SHA-256 without TLS. What they are held against is a login at PostgreSQL itself, by
 * SCRAM-SHA-256 in TLS.
 */
export async function measureLoginsByWay(
  stage: Stage,
  _contenders: readonly Contender[],
  { rounds, seconds }: Effort,
): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const house = resources.use(await openTokenHouse());
  const certificate = await (await createAuthority("bench clients"))
    .issue({ commonName: BEARER, usage: "client" });
  const port = freePort();
  const program = resources.use(await startProxy(stage, { house, port }));
  const ways = await waysOf(stage, { house, certificate, port });
  await program.ready(() => timeOf(ways[1]));

  const outcomes: Outcome[] = ways.map((way) => ({ way, durationsMs: [], cpuMicros: 0 }));
  for (const { way } of outcomes) await repeat(way, 0.5);
  for (let round = 0; round < rounds; round++) {
    for (const outcome of outcomes) {
      const before = await usageOf(program.pid);
      outcome.durationsMs.push(...await repeat(outcome.way, seconds));
      outcome.cpuMicros += (await usageOf(program.pid)).cpuMicros - before.cpuMicros;
    }
  }
  printOutcomes(outcomes);
}

async function waysOf(
  { cluster, authorityPem }: Stage,
  { house, certificate, port }: { house: TokenHouse; certificate: IssuedCertificate; port: number },
): Promise<Way[]> {
  const proxy: Door = { port, authorityPem };
  const byPassword = (user: string, token: string, door = proxy) =>
    logInOnce(door, { user, requireAuth: ["password"], password: new Secret(token) });
  const bearer = (token: string): LoginClient => ({
    user: "oauthbearer",
    requireAuth: ["oauth"],
    token: new Secret(token),
  });
  const scram: LoginClient = {
    user: ROLE,
    requireAuth: ["scram-sha-256"],
    password: new Secret(PASSWORD),
  };
  const [signed, opaque] = [await house.signedToken(), house.opaqueToken()];
  return [
    way("direct, SCRAM-SHA-256", () => logInOnce({ port: cluster.port, authorityPem }, scram)),
    way("password, a token seen before", () => byPassword("password", signed)),
    wayWithNew(() => house.signedToken(), {
      name: "password, a new token",
      logIn: (token) => byPassword("password", token),
    }),
    way("OAUTHBEARER, a token seen before", () => logInOnce(proxy, bearer(signed))),
    wayWithNew(() => house.signedToken(), {
      name: "OAUTHBEARER, a new token",
      logIn: (token) => logInOnce(proxy, bearer(token)),
    }),
    wayWithNew(() => house.signedToken(), {
      name: "OAUTHBEARER, discovery and a new token",
      logIn: async (token) => {
        await discoverOnce(proxy, "oauthbearer");
        return await logInOnce(proxy, bearer(token));
      },
    }),
    way("opaque token, introspected before", () => byPassword("opaque", opaque)),
    wayWithNew(() => Promise.resolve(house.opaqueToken()), {
      name: "opaque token, introspected",
      logIn: (token) => byPassword("opaque", token),
    }),
    wayWithNew(() => Promise.resolve(house.opaqueToken()), {
      name: "opaque token, asked of a validator",
      logIn: (token) => byPassword("program", token),
    }),
    wayWithNew(() => house.signedToken(certificate), {
      name: "password, a new token bound to a certificate",
      logIn: (token) => byPassword("password", token, { ...proxy, certificate }),
    }),
  ];
}

function way(name: string, logIn: () => Promise<AsyncDisposable>): Way {
  return { name, prepare: () => Promise.resolve(logIn) };
}

/** The proxy remembers good tokens: with a new one each time, it has to find out each time. */
function wayWithNew(
  makeToken: () => Promise<string>,
  { name, logIn }: { name: string; logIn: (token: string) => Promise<AsyncDisposable> },
): Way {
  return {
    name,
    async prepare() {
      const token = await makeToken();
      return () => logIn(token);
    },
  };
}

/** Logs in again and again for so long, and tells how long each login took, in milliseconds. */
async function repeat(way: Way, seconds: number): Promise<number[]> {
  const durationsMs: number[] = [];
  const endMs = performance.now() + seconds * 1000;
  while (performance.now() < endMs) durationsMs.push(await timeOf(way));
  return durationsMs;
}

async function timeOf({ prepare }: Way): Promise<number> {
  const logIn = await prepare();
  const startedMs = performance.now();
  await using _session = await logIn();
  return performance.now() - startedMs;
}

function printOutcomes(outcomes: readonly Outcome[]): void {
  const direct = median(outcomes[0].durationsMs);
  const rows = outcomes.map(({ way, durationsMs, cpuMicros }) => ({
    "way in": way.name,
    "logins": number(durationsMs.length),
    "median ms": number(median(durationsMs), 2),
    "90th ms": number(quantile(durationsMs, 0.9), 2),
    "of direct": ratio(median(durationsMs), direct),
    "CPU ms": way === outcomes[0].way ? "–" : number(cpuMicros / 1000 / durationsMs.length, 2),
  }));
  printTable("one login at a time over TLS, by the way in", rows);
}

async function startProxy(
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
