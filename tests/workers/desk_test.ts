import assert from "node:assert/strict";
import { PgError } from "../../lib/errors.ts";
import { Limits } from "../../lib/limits/limits.ts";
import type { LimitsSettings } from "../../lib/limits/schema.ts";
import type { Stranger } from "../../lib/limits/unauthenticated.ts";
import type { ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import { TokenRefused } from "../../lib/token/refused_token.ts";
import type { VerifiedToken } from "../../lib/token/verified_token.ts";
import type { TokenDesk } from "../../lib/token_desk.ts";
import type { MainCalls, StrangerId, WorkerCalls } from "../../lib/workers/calls.ts";
import { Desk } from "../../lib/workers/desk.ts";
import { Line } from "../../lib/workers/line.ts";
import { type PackedError, packEvent, unpackError } from "../../lib/workers/parcel.ts";
import { RemoteCounts } from "../../lib/workers/remote_counts.ts";
import { remoteTokens } from "../../lib/workers/remote_tokens.ts";
import { Clock, limits as settings } from "../limits/settings.ts";
import { PortInProcess } from "../support/threads_in_process.ts";

const ADDRESS = "192.0.2.7";
const SUSPECT = { address: ADDRESS, user: "alice" };
const CONNECTED = {
  address: ADDRESS,
  identity: "alice",
  issuer: "corp",
  rule: { name: "all" },
  backend: { name: "main", maxConnections: 2 },
};
const CLAIM = { processId: 1, secretKey: Uint8Array.of(1, 2, 3, 4), clientAddress: ADDRESS };

const TOKEN: VerifiedToken = {
  issuer: "corp",
  claims: JSON.parse('{ "sub": "alice", "__proto__": { "admin": true } }'),
  expiresAtMs: 1,
  requireEmailVerified: false,
};

/** What tests hand in. */
interface Given {
  readonly limits?: Partial<LimitsSettings>;
  readonly tokens?: Partial<TokenDesk>;
  /** What other workers answer. */
  readonly others?: Partial<WorkerCalls>;
}

/** A desk in the main thread, a worker at its other end, and the limits they count by. */
function open({ limits: given = {}, tokens = {}, others }: Given = {}) {
  const clock = new Clock();
  const limits = new Limits(settings(given), clock.now);
  const events: (SessionEvent | ProxyEvent)[] = [];
  const generations: number[] = [];
  const [main, worker] = PortInProcess.pair();
  const [toOther, other] = PortInProcess.pair();
  new Line(other, others ?? {});
  const otherLine = new Line<WorkerCalls>(toOther, {});
  const desk = new Desk({
    limits,
    tokensOf: (generation) => {
      generations.push(generation);
      return tokens as TokenDesk;
    },
    observe: (event) => void events.push(event),
    lineTo: () => others && otherLine,
    ready: () => {},
    now: clock.now,
  });
  desk.line = new Line<WorkerCalls>(main, desk.calls);
  const line: Line<MainCalls> = new Line<MainCalls>(worker, {
    dismissStranger: ({ stranger, error }: { stranger: StrangerId; error: PackedError }) =>
      counts.dismiss(stranger, unpackError(error) as PgError),
    dropStranger: ({ stranger, hit }: Parameters<WorkerCalls["dropStranger"]>[0]) =>
      counts.drop(stranger, hit),
  });
  const counts = new RemoteCounts(line);
  return { clock, limits, events, generations, desk, line, otherLine, counts, worker };
}

/** Settles when all that was told has arrived. */
async function quiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

/** A stranger that writes down what becomes of it. */
function stranger() {
  const told: unknown[] = [];
  const one: Stranger = {
    dismiss: (why) => told.push(why()),
    drop: (hit) => told.push(hit ?? "dropped"),
  };
  return { one, told };
}

const connection = { id: 4, clientAddress: `${ADDRESS}:50000` };

function authenticated(id: number): SessionEvent {
  return {
    connection: { ...connection, id },
    kind: "authenticated",
    asked: {},
    issuer: "corp",
    rule: "all",
    role: "app",
    backend: "main",
    database: "d",
    method: "password",
    durationMs: 30,
    stages: [],
  };
}

function ended(id: number): SessionEvent {
  return {
    connection: { ...connection, id },
    kind: "session_ended",
    how: "client_left",
    backend: "main",
    durationMs: 40,
    bytesIn: 1,
    bytesOut: 2,
    transactions: 3,
  };
}

Deno.test("connections of a worker count in the main thread until they are let go of", async () => {
  const { counts, limits, desk } = open({ limits: { connections: 5 } });
  const [one, two] = [await counts.connections.enter(CONNECTED), await counts.connections.enter(CONNECTED)];
  assert.deepEqual([limits.connections.size, desk.connectionCount], [2, 2]);
  await assert.rejects(
    counts.connections.enter(CONNECTED),
    (error) => error instanceof PgError && error.fault === "backends.max_connections",
  );
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  await quiet();
  assert.deepEqual([limits.connections.size, desk.connectionCount], [1, 1]);
  two[Symbol.dispose]();
  await quiet();
  assert.deepEqual([limits.connections.size, limits.connections.countsKept, desk.connectionCount], [0, 0, 0]);
});

Deno.test("T17 nothing of a backend goes over the line but what connections are counted by", async () => {
  const [main, worker] = PortInProcess.pair();
  new Line(main, { enter: () => 1 });
  const counts = new RemoteCounts(new Line<MainCalls>(worker, {}));
  const backend = { ...CONNECTED.backend, password: "hunter2" };
  await counts.connections.enter({ ...CONNECTED, backend });
  assert.doesNotMatch(JSON.stringify(worker.posted), /hunter2/);
});

Deno.test("T18 failed logins of a worker are counted, slowed and refused in the main thread", async () => {
  const { counts, desk } = open({ limits: { failed_logins: 5 } });
  const waits: number[] = [];
  for (let count = 0; count < 5; count++) {
    await counts.failedLogins.check(SUSPECT);
    using heldBack = await counts.failedLogins.failed(SUSPECT);
    waits.push(heldBack.ms);
  }
  assert.deepEqual(waits, [0, 0, 0, 100, 200]);
  await assert.rejects(
    counts.failedLogins.check(SUSPECT),
    (error) => error instanceof PgError && error.sqlstate === "53300" && error.fault === "failed_logins",
  );
  await counts.failedLogins.check({ ...SUSPECT, user: "bob" });
  assert.equal(desk.connectionCount, 0);
});

Deno.test("a login that succeeds forgives what has failed before it", async () => {
  const { counts, limits } = open();
  (await counts.failedLogins.failed(SUSPECT))[Symbol.dispose]();
  assert.equal(limits.failedLogins.size, 1);
  counts.failedLogins.succeeded(SUSPECT);
  await quiet();
  assert.equal(limits.failedLogins.size, 0);
});

Deno.test("questions where tokens come from are counted in the main thread", async () => {
  const { counts } = open({ limits: { discoveries_per_minute: 2 } });
  await counts.discoveries.take(ADDRESS);
  await counts.discoveries.take(ADDRESS);
  await assert.rejects(
    counts.discoveries.take(ADDRESS),
    (error) => error instanceof PgError && error.fault === "discoveries_per_minute",
  );
});

Deno.test("W12 strangers of a worker have their places in the main thread, and make room as it says", async () => {
  const { counts, limits, worker } = open({
    limits: { unauthenticated: 2, unauthenticated_per_address: 0 },
  });
  const strangers = [stranger(), stranger(), stranger()];
  const places = strangers.map(({ one }) => counts.unauthenticated.enter(one));
  await quiet();
  assert.deepEqual([limits.unauthenticated.size, limits.unauthenticated.leavingCount], [2, 1]);
  const [error] = strangers[0].told;
  assert(error instanceof PgError);
  assert.deepEqual([error.sqlstate, error.fault], ["53300", "unauthenticated"]);
  assert.deepEqual([strangers[1].told, strangers[2].told], [[], []]);

  for (const place of places) place[Symbol.dispose]();
  places[0][Symbol.dispose]();
  await quiet();
  assert.deepEqual([limits.unauthenticated.size, limits.unauthenticated.leavingCount], [0, 0]);
  // Three have come, and three have gone.
  assert.equal(worker.posted.length, 6);
});

Deno.test("W12 strangers of a worker are counted by where they turn out to come from", async () => {
  const { counts, limits } = open({ limits: { unauthenticated_per_address: 1 } });
  const strangers = [stranger(), stranger(), stranger()];
  const places = strangers.map(({ one }) => counts.unauthenticated.enter(one));
  places[0].comesFrom(ADDRESS);
  places[1].comesFrom("192.0.2.8");
  await quiet();
  assert.equal(limits.unauthenticated.addressCount, 2);
  places[2].comesFrom(ADDRESS);
  await quiet();
  assert.deepEqual(strangers.map(({ told }) => told.length), [1, 0, 0]);
});

Deno.test("W12 a stranger of a worker that does not leave is dropped, with the limit it has hit", async () => {
  const { counts, limits } = open({ limits: { unauthenticated: 1 } });
  const strangers = Array.from({ length: 103 }, stranger);
  const places = strangers.map(({ one }) => counts.unauthenticated.enter(one));
  await quiet();
  // The hundred that came behind the first two are on their way out, and the last is there.
  assert.deepEqual([limits.unauthenticated.size, limits.unauthenticated.leavingCount], [1, 100]);
  assert.deepEqual(strangers[0].told[1], { limit: "unauthenticated", isNews: true, passedOver: 0 });
  assert.deepEqual(strangers[1].told[1], { limit: "unauthenticated", isNews: false, passedOver: 1 });
  assert.equal(strangers[2].told.length, 1);
  for (const place of places) place[Symbol.dispose]();
  await quiet();
  assert.deepEqual([limits.unauthenticated.size, limits.unauthenticated.leavingCount], [0, 0]);
});

Deno.test("a stranger of a worker that is told why it leaves counts no more", async () => {
  const { counts, limits } = open();
  const place = counts.unauthenticated.enter(stranger().one);
  place.leaves();
  await quiet();
  assert.deepEqual([limits.unauthenticated.size, limits.unauthenticated.leavingCount], [0, 1]);
});

Deno.test("a stranger that is gone when the main thread would have it leave is not told", async () => {
  const { counts } = open({ limits: { unauthenticated: 1 } });
  const [first, second] = [stranger(), stranger()];
  const place = counts.unauthenticated.enter(first.one);
  counts.unauthenticated.enter(second.one);
  place[Symbol.dispose]();
  await quiet();
  assert.deepEqual(first.told, []);
});

Deno.test("a token is asked about by the configuration that its login began with", async () => {
  const asked: unknown[] = [];
  const { line, generations } = open({
    tokens: {
      verify: (token, presented) => {
        asked.push([token, { ...presented, signal: undefined }]);
        return Promise.resolve(TOKEN);
      },
      standingOf: (token) => {
        asked.push(token);
        return "denied";
      },
      introspectAgain: (token, verified) => {
        asked.push([token, verified]);
        return Promise.resolve("revoked");
      },
    },
  });
  const tokens = remoteTokens(line, 7);
  const presented = {
    issuer: "corp",
    clientCertificate: Uint8Array.of(1, 2),
    asked: { user: "alice", database: "d", clientAddress: ADDRESS, serverName: "db" },
  };
  const { signal } = new AbortController();
  assert.deepEqual(await tokens.verify("a token", { ...presented, signal }), TOKEN);
  assert.equal(await tokens.standingOf(TOKEN), "denied");
  assert.equal(await tokens.introspectAgain("a token", TOKEN), "revoked");
  assert.deepEqual(generations, [7, 7, 7]);
  const [verified, ...others] = asked;
  assert.deepEqual(verified, ["a token", { ...presented, signal: undefined }]);
  const names = { issuer: TOKEN.issuer, tokenId: undefined, subject: undefined, claims: {} };
  assert.deepEqual(others, [names, ["a token", TOKEN]]);
});

Deno.test("T11 claims arrive as the issuer has written them, whatever they are called", async () => {
  const { line } = open({ tokens: { verify: () => Promise.resolve(TOKEN) } });
  const asked = { user: "alice", database: "d", clientAddress: ADDRESS };
  const { claims } = await remoteTokens(line, 1).verify("t", { asked, signal: new AbortController().signal });
  assert.deepEqual(Object.keys(claims), ["sub", "__proto__"]);
  assert.equal((claims as { admin?: boolean }).admin, undefined);
});

Deno.test("a token that is not good is refused with its fault", async () => {
  const { line } = open({
    tokens: { verify: () => Promise.reject(new TokenRefused("expired", "it has expired")) },
  });
  const asked = { user: "alice", database: "d", clientAddress: ADDRESS };
  await assert.rejects(
    remoteTokens(line, 1).verify("t", { asked, signal: new AbortController().signal }),
    (error) => error instanceof TokenRefused && error.fault === "expired",
  );
});

Deno.test("whoever gives up on a token gives up its turn in the main thread", async () => {
  const given = Promise.withResolvers<AbortSignal>();
  const { line } = open({
    tokens: {
      verify: (_token, { signal }) => {
        given.resolve(signal);
        return new Promise(() => {});
      },
    },
  });
  const patience = new AbortController();
  const asked = { user: "alice", database: "d", clientAddress: ADDRESS };
  const verifying = remoteTokens(line, 1).verify("t", { asked, signal: patience.signal });
  const signal = await given.promise;
  patience.abort(new Error("login_timeout"));
  await assert.rejects(verifying, { message: "login_timeout" });
  await quiet();
  assert.equal(signal.aborted, true);
});

Deno.test("S1 a cancel goes to the worker that has issued its key", async () => {
  const asked: unknown[] = [];
  const { line } = open({
    others: {
      findCancel: (claim) => {
        asked.push(claim);
        return true;
      },
      cancel: (claim) => {
        asked.push(claim);
        return Promise.resolve();
      },
    },
  });
  assert.equal(await line.ask("findCancel", CLAIM), true);
  await line.ask("cancel", CLAIM);
  assert.deepEqual(asked, [CLAIM, CLAIM]);
});

Deno.test("S1 a cancel for a worker that is not there means nobody", async () => {
  const { line } = open();
  assert.equal(await line.ask("findCancel", CLAIM), false);
  await line.ask("cancel", CLAIM);
});

Deno.test("S1 a cancel for a worker that is lost meanwhile means nobody, and fails nobody's login", async () => {
  const begun = Promise.withResolvers<void>();
  const { line, otherLine } = open({
    others: {
      findCancel: () => {
        begun.resolve();
        return new Promise<boolean>(() => {}) as unknown as boolean;
      },
      cancel: () => new Promise(() => {}),
    },
  });
  const [found, delivered] = [line.ask("findCancel", CLAIM), line.ask("cancel", CLAIM)];
  await begun.promise;
  otherLine.hangUp("lost");
  assert.equal(await found, false);
  await delivered;
});

Deno.test("close() gives back whatever the worker has taken", async () => {
  const { counts, limits, desk } = open();
  await counts.connections.enter(CONNECTED);
  await counts.connections.enter(CONNECTED);
  const leaving = counts.unauthenticated.enter(stranger().one);
  counts.unauthenticated.enter(stranger().one).comesFrom(ADDRESS);
  leaving.leaves();
  for (let count = 0; count < 4; count++) await counts.failedLogins.failed(SUSPECT);
  await quiet();
  assert.deepEqual([limits.connections.size, limits.unauthenticated.size], [2, 1]);
  assert.equal(desk.connectionCount, 4);

  desk.line.hangUp("lost");
  desk.close("lost");
  assert.deepEqual([limits.connections.size, limits.connections.countsKept], [0, 0]);
  const { unauthenticated } = limits;
  assert.deepEqual([unauthenticated.size, unauthenticated.leavingCount, unauthenticated.addressCount], [
    0,
    0,
    0,
  ]);
  assert.equal(desk.connectionCount, 0);
});

Deno.test("close() gives back the places of those whose answers were held back", async () => {
  const { counts, limits, desk } = open({ limits: { failed_logins: 100_000 } });
  // As many as may be held back at a time: the next one is answered at once.
  for (let count = 0; count < 503; count++) await counts.failedLogins.failed(SUSPECT);
  assert.equal(limits.failedLogins.failed(SUSPECT).ms, 0);
  desk.close("lost");
  assert.equal(limits.failedLogins.failed(SUSPECT).ms, 2000);
});

Deno.test("close() tells the end of each session that was live, and of no other", async () => {
  const { line, events, desk, clock } = open();
  for (const event of [authenticated(4), authenticated(5), authenticated(6), ended(5)]) {
    line.tell("observe", packEvent(event));
  }
  await quiet();
  assert.equal(desk.sessionCount, 2);
  clock.advance(1000);
  desk.close("a bug of ours");
  assert.equal(desk.sessionCount, 0);
  const told = events.slice(4).map((event) => ({
    ...event,
    cause: (event as { cause: Error }).cause.message,
  }));
  assert.deepEqual(
    told,
    [4, 6].map((id) => ({
      connection: { ...connection, id },
      kind: "session_ended",
      how: "failed",
      backend: "main",
      durationMs: 1030,
      bytesIn: 0,
      bytesOut: 0,
      transactions: 0,
      reason: "its worker was lost",
      cause: "a bug of ours",
    })),
  );
});

Deno.test("close() tells nothing a second time", async () => {
  const { line, events, desk } = open();
  line.tell("observe", packEvent(authenticated(4)));
  await quiet();
  desk.close("lost");
  desk.close("lost");
  assert.equal(events.length, 2);
});

Deno.test("events of a worker are observed in the main thread, in order and with their causes", async () => {
  const { line, events } = open();
  line.tell("observe", packEvent({ connection, kind: "connection_opened" }));
  line.tell("observe", packEvent({ connection, kind: "cancel_failed", cause: new Error("refused") }));
  await quiet();
  assert.deepEqual(events[0], { connection, kind: "connection_opened" });
  assert.equal(((events[1] as { cause?: unknown }).cause as Error).message, "refused");
});
