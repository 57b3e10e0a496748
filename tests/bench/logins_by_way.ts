import { Secret } from "../../lib/secret.ts";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { discoverOnce, type Door, type LoginClient, logInOnce } from "./login_client.ts";
import { startEveryWayProxy } from "./every_way_proxy.ts";
import type { Bench } from "./measure.ts";
import { usageOf } from "./program.ts";
import { PASSWORD, ROLE, type Stage } from "./stage.ts";
import { median, quantile } from "./statistics.ts";
import { number } from "./table.ts";
import { BEARER, openTokenHouse, type TokenHouse } from "./token_house.ts";

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

/** Short turns: these ways differ by less than what a machine does besides from one second to the next. */
const TURN_S = 0.25;

/**
 * How long one login takes by each way in, one at a time, each on a TLS connection of its own; behind all of them the proxy
 * logs in to PostgreSQL by SCRAM-SHA-256 without TLS. What they are held against is a login at PostgreSQL itself, by
 * SCRAM-SHA-256 in TLS.
 */
export async function measureLoginsByWay({ stage, effort, report }: Bench): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const house = resources.use(await openTokenHouse());
  const certificate = await (await createAuthority("bench clients"))
    .issue({ commonName: BEARER, usage: "client" });
  const port = freePort();
  const program = resources.use(await startEveryWayProxy(stage, { house, port }));
  const ways = await waysOf(stage, { house, certificate, port });
  await program.ready(() => timeOf(ways[1]));

  const outcomes: Outcome[] = ways.map((way) => ({ way, durationsMs: [], cpuMicros: 0 }));
  for (const { way } of outcomes) await repeat(way, 0.5);
  for (let turn = 0; turn < effort.rounds * effort.seconds / 2 / TURN_S; turn++) {
    for (const outcome of outcomes) {
      const before = await usageOf([program]);
      outcome.durationsMs.push(...await repeat(outcome.way, TURN_S));
      outcome.cpuMicros += (await usageOf([program])).cpuMicros - before.cpuMicros;
    }
  }
  tell(report, outcomes);
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

function tell(report: Bench["report"], outcomes: readonly Outcome[]): void {
  const direct = median(outcomes[0].durationsMs);
  const rows = outcomes.map(({ way, durationsMs, cpuMicros }) => ({
    "way in": way.name,
    "logins": number(durationsMs.length),
    "median ms": number(median(durationsMs), 2),
    "90th ms": number(quantile(durationsMs, 0.9), 2),
    "of direct": number(median(durationsMs) / direct, 2),
    "CPU ms": way === outcomes[0].way ? "–" : number(cpuMicros / 1000 / durationsMs.length, 2),
  }));
  report.table("one login at a time over TLS, by the way in", { rows });
}
