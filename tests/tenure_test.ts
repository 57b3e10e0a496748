import assert from "node:assert/strict";
import * as v from "valibot";
import type { Stay } from "../lib/admission.ts";
import { DEFAULT_LIFETIME, type Lifetime } from "../lib/authorize/lifetime.ts";
import { parseBackendNames, type Policy } from "../lib/authorize/policy.ts";
import { ruleSchema } from "../lib/authorize/schema.ts";
import { parseTarget } from "../lib/connect/target.ts";
import type { PgError } from "../lib/errors.ts";
import { atOnce, type Pace } from "../lib/long_work.ts";
import { Secret } from "../lib/secret.ts";
import type { SessionSettings } from "../lib/session_settings.ts";
import { Tenure, type TenureOptions } from "../lib/tenure.ts";
import type { StandingOfToken } from "../lib/token/token_verifier.ts";
import { noticeResponse } from "../lib/wire/error_response.ts";
import { decodeMessage } from "../lib/wire/message.ts";
import { ManualClock } from "./support/manual_clock.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const LOGIN_MS = 1_800_000_000_000;

/** What a scene is about; what is left out is the ordinary. */
interface Given {
  readonly lifetime?: Partial<Lifetime>;
  /** From the login; default an hour. */
  readonly expiresInMs?: number;
  readonly replication?: boolean;
  readonly claims?: Record<string, unknown>;
  readonly random?: number;
  readonly issuedBeforeMs?: number;
}

/** A tenure of a session that only writes down what becomes of it. */
class Scene {
  readonly clock = new ManualClock(LOGIN_MS);
  readonly tenure: Tenure;
  /** What became of the session, with the minutes since its login. */
  readonly happened: string[] = [];
  readonly notices: { message?: string; detail?: string; severity?: string; sqlstate?: string }[] = [];
  errors: PgError[] = [];
  isDenied = false;
  isIssuerKnown = true;
  standing: StandingOfToken | Error = "good";
  doing: TenureOptions["relay"]["standing"] = { state: "idle", transactions: 0, bytesIn: 0, bytesOut: 0 };
  rule: Record<string, unknown> = {};
  backendUrl = "postgres://app@db/orders";
  /** How often the issuer was asked. */
  asked = 0;
  pace: Pace = atOnce;
  #settings: SessionSettings | null = null;

  constructor({ lifetime, expiresInMs = HOUR_MS, replication = false, claims = {}, ...given }: Given = {}) {
    const { random = 0.5, issuedBeforeMs = 0 } = given;
    const stay: Stay = {
      token: {
        issuer: "corp",
        claims: { sub: "alice", ...claims },
        expiresAtMs: LOGIN_MS + expiresInMs,
        issuedAtMs: LOGIN_MS - issuedBeforeMs,
        subject: "alice",
        requireEmailVerified: true,
      },
      presented: new Secret("the token"),
      user: "alice",
      database: "orders",
      replication,
      clientAddress: "192.0.2.1",
      granted: {
        backend: "orders",
        role: "app",
        database: "orders",
        hosts: parseTarget(this.backendUrl).hosts,
      },
      lifetime: { ...DEFAULT_LIFETIME, ...lifetime },
      sinceMs: LOGIN_MS,
    };
    const note = (what: string) => void this.happened.push(`${this.#minutes()} ${what}`);
    const doing = () => this.doing;
    const options: TenureOptions = {
      relay: {
        get standing() {
          return doing();
        },
        end: (error) => {
          this.errors.push(error);
          note("ended now");
          return true;
        },
        endWhenIdle: (error) => {
          this.errors.push(error);
          note("to end when idle");
        },
        notify: (message) => {
          note("told");
          this.notices.push(decodeMessage(noticeResponse, message.subarray(5)));
        },
      },
      house: {
        settings: () => this.#settings ??= this.#settingsOfNow(),
        wallClock: this.clock.now,
        after: this.clock.after,
        random: () => random,
        pace: (work) => this.pace(work),
      },
      chronicle: { note: ({ kind }) => note(kind) },
    };
    this.tenure = new Tenure(stay, options);
  }

  /** Loads the configuration anew: with another rule, or another backend. */
  reload(rule: Record<string, unknown>, backendUrl = this.backendUrl): void {
    this.rule = rule;
    this.backendUrl = backendUrl;
    this.#settings = null;
    this.tenure.review();
  }

  /** From now on nothing is decided before what this gives is called. */
  holdDecisions(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.pace = (work) => promise.then(() => atOnce(work));
    return resolve;
  }

  #minutes(): number {
    return (this.clock.now() - LOGIN_MS) / MINUTE_MS;
  }

  #settingsOfNow(): SessionSettings {
    const target = parseTarget(this.backendUrl);
    const rule = { issuer: "corp", match: "alice", backend: "orders", ...this.rule };
    const policy: Policy = {
      rules: [v.parse(ruleSchema, rule)],
      backends: new Map([["orders", parseBackendNames({ ...target, parameters: new Map() }, assert.fail)]]),
      reservedRoles: [],
    };
    const tokens = {
      standingOf: () => {
        if (!this.isIssuerKnown) return "of no issuer of ours";
        return this.isDenied ? "denied" : "good";
      },
      introspectAgain: () => {
        this.asked++;
        return this.standing instanceof Error
          ? Promise.reject(this.standing)
          : Promise.resolve(this.standing);
      },
    };
    const backends = new Map([["orders", { target }]]);
    return { policy, tokens, backends } as unknown as SessionSettings;
  }
}

Deno.test("Tenure sets no timer where nothing limits a session", () => {
  const scene = new Scene();
  scene.tenure.check();
  assert.equal(scene.clock.timerCount, 0);
  scene.clock.advance(100 * HOUR_MS);
  scene.tenure.check();
  assert.deepEqual(scene.happened, []);
});

Deno.test.each<[Lifetime["atExpiry"], string[]]>([
  ["keep", []],
  ["end_when_idle", ["59 told", "60 to end when idle"]],
  ["end_now", ["59 told", "60 ended now"]],
])("Tenure with at_expiry = %s does so at exp, a minute after its notice", (atExpiry, happened) => {
  const scene = new Scene({ lifetime: { atExpiry } });
  scene.tenure.check();
  scene.clock.advance(10 * HOUR_MS);
  assert.deepEqual(scene.happened, happened);
  assert.deepEqual(
    scene.errors.map(({ sqlstate, severity, message }) => ({ sqlstate, severity, message })),
    happened.length === 0 ? [] : [{
      sqlstate: "57P01",
      severity: "FATAL",
      message: "terminating connection because its token has expired",
    }],
  );
});

Deno.test("Tenure says in its notice when the session ends, and how", () => {
  const scene = new Scene({ lifetime: { atExpiry: "end_now" } });
  scene.tenure.check();
  scene.clock.advance(HOUR_MS);
  assert.deepEqual(
    scene.notices.map(({ severity, sqlstate, message, detail }) => [severity, sqlstate, message, detail]),
    [[
      "WARNING",
      "01000",
      "this connection's token expires in 60 s",
      "It is then terminated at once, whatever it is doing.",
    ]],
  );
});

Deno.test("Tenure tells a session at once that begins less than a minute before its end", () => {
  const scene = new Scene({ lifetime: { atExpiry: "end_when_idle" }, expiresInMs: 20_000 });
  scene.tenure.check();
  assert.deepEqual(scene.notices.map(({ message }) => message), ["this connection's token expires in 20 s"]);
  scene.tenure.check();
  assert.equal(scene.notices.length, 1);
});

Deno.test("Tenure ends a session whose token was let in by the clock skew alone, and says nothing before", () => {
  const scene = new Scene({ lifetime: { atExpiry: "end_when_idle" }, expiresInMs: -30_000 });
  scene.tenure.check();
  assert.deepEqual(scene.happened, ["0 to end when idle"]);
});

Deno.test("Tenure sends no notice into a stream of replication", () => {
  const scene = new Scene({ lifetime: { atExpiry: "end_now" }, replication: true });
  scene.tenure.check();
  scene.clock.advance(HOUR_MS);
  assert.deepEqual(scene.happened, ["60 ended now"]);
});

Deno.test("Tenure ends a session when idle that has lasted for max_session, and tells it a minute before", () => {
  const scene = new Scene({ lifetime: { maxSessionMs: 10 * MINUTE_MS } });
  scene.tenure.check();
  scene.clock.advance(HOUR_MS);
  assert.deepEqual(scene.happened, ["9 told", "10 to end when idle"]);
  assert.equal(scene.errors[0].sqlstate, "57P01");
  assert.equal(scene.errors[0].message, "terminating connection due to maximum session duration");
});

Deno.test("Tenure cuts at exp a session that never became idle after max_session", () => {
  const scene = new Scene({ lifetime: { atExpiry: "end_now", maxSessionMs: 10 * MINUTE_MS } });
  scene.tenure.check();
  scene.clock.advance(HOUR_MS);
  assert.deepEqual(scene.happened, ["9 told", "10 to end when idle", "59 told", "60 ended now"]);
});

Deno.test("Tenure never has more than one timer", () => {
  const scene = new Scene({
    lifetime: { atExpiry: "end_now", maxSessionMs: 10 * MINUTE_MS, reintrospectMs: 7 * MINUTE_MS },
  });
  scene.tenure.check();
  for (let minute = 0; minute < 70; minute++) {
    scene.tenure.check();
    scene.reload({ at_expiry: "end_now", max_session: "10m", reintrospect: "7m" });
    scene.clock.advance(MINUTE_MS);
    assert(scene.clock.timerCount <= 1);
  }
});

Deno.test("Tenure waits ten minutes at most: a clock that was set forward is seen then", () => {
  const scene = new Scene({ lifetime: { atExpiry: "end_when_idle" }, expiresInMs: 1000 * HOUR_MS });
  scene.tenure.check();
  scene.clock.set(LOGIN_MS + 2000 * HOUR_MS);
  scene.clock.advance(10 * MINUTE_MS);
  assert.equal(scene.happened.length, 1);
});

Deno.test("Tenure sets a timer that the machine can hold for a token that is good for ever", () => {
  const scene = new Scene({ lifetime: { atExpiry: "end_now" }, expiresInMs: 8e15 - LOGIN_MS });
  scene.tenure.check();
  scene.clock.advance(100 * HOUR_MS);
  assert.deepEqual(scene.happened, []);
});

Deno.test("Tenure does nothing once its session is over", () => {
  const scene = new Scene({ lifetime: { atExpiry: "end_now" } });
  scene.tenure.check();
  scene.tenure[Symbol.dispose]();
  assert.equal(scene.clock.timerCount, 0);
  scene.isDenied = true;
  scene.tenure.check();
  scene.reload({ match: "bob" });
  assert.deepEqual(scene.happened, []);
});

Deno.test.each<[Lifetime["atRevocation"], string[]]>([
  ["keep", []],
  ["end_when_idle", ["0 to end when idle"]],
  ["end_now", ["0 ended now"]],
])("Tenure with at_revocation = %s does so when a deny list names the token", (atRevocation, happened) => {
  const scene = new Scene({ lifetime: { atRevocation } });
  scene.tenure.check();
  scene.isDenied = true;
  scene.tenure.check();
  assert.deepEqual(scene.happened, happened);
});

Deno.test("Tenure tells a client no more of a denied token than of a revoked one", async () => {
  const denied = new Scene();
  denied.isDenied = true;
  denied.tenure.check();
  const revoked = new Scene({ lifetime: { reintrospectMs: MINUTE_MS } });
  revoked.standing = "revoked";
  revoked.tenure.check();
  await pass(revoked);
  const told = [denied, revoked].map(({ errors }) =>
    errors.map(({ sqlstate, message, detail, hint }) => ({ sqlstate, message, detail, hint }))
  );
  assert.deepEqual(told[0], told[1]);
  assert.deepEqual(told[0], [{
    sqlstate: "28000",
    message: "terminating connection because its token has been revoked",
    detail: undefined,
    hint: undefined,
  }]);
});

Deno.test("Tenure asks the issuer again and again, while the token is good", async () => {
  const scene = new Scene({ lifetime: { reintrospectMs: 5 * MINUTE_MS }, expiresInMs: 100 * HOUR_MS });
  scene.tenure.check();
  for (let minute = 0; minute < 21; minute++) await pass(scene);
  assert.equal(scene.asked, 4);
  assert.deepEqual(scene.happened, []);
});

Deno.test.each<[number, number]>([[0, 4.5], [0.5, 5], [0.999999, 5.5]])(
  "Tenure asks the issuer up to a tenth sooner or later, by chance: %f",
  (random, minutes) => {
    const scene = new Scene({ lifetime: { reintrospectMs: 5 * MINUTE_MS }, random });
    scene.tenure.check();
    scene.clock.advance(minutes * MINUTE_MS - 10);
    assert.equal(scene.asked, 0);
    scene.clock.advance(20);
    assert.equal(scene.asked, 1);
  },
);

Deno.test.each<[Lifetime["atRevocation"], string[]]>([
  ["keep", []],
  ["end_when_idle", ["5 to end when idle"]],
  ["end_now", ["5 ended now"]],
])("Tenure with at_revocation = %s does so when the issuer has revoked the token, and asks no more", async (
  atRevocation,
  happened,
) => {
  const scene = new Scene({ lifetime: { reintrospectMs: 5 * MINUTE_MS, atRevocation } });
  scene.standing = "revoked";
  scene.tenure.check();
  for (let minute = 0; minute < 30; minute++) await pass(scene);
  assert.deepEqual(scene.happened, happened);
  assert.equal(scene.asked, 1);
});

Deno.test.each<[string, StandingOfToken | Error]>([
  ["cannot be asked", "unknown"],
  ["makes the verifier fail", new Error("a bug")],
])("Tenure lets a session go on whose issuer %s, and reports it", async (_name, standing) => {
  const scene = new Scene({ lifetime: { reintrospectMs: 5 * MINUTE_MS, atRevocation: "end_now" } });
  scene.standing = standing;
  scene.tenure.check();
  for (let minute = 0; minute < 11; minute++) await pass(scene);
  assert.deepEqual(scene.happened, ["5 reintrospection_failed", "10 reintrospection_failed"]);
});

Deno.test("Tenure asks no issuer about a token that has expired, or may have by the issuer's clock", async () => {
  const scene = new Scene({ lifetime: { reintrospectMs: 5 * MINUTE_MS, atExpiry: "keep" } });
  scene.tenure.check();
  for (let minute = 0; minute < 120; minute++) await pass(scene);
  assert.equal(scene.asked, 11);
  assert.equal(scene.clock.timerCount, 0);
});

Deno.test("Tenure does not end a session that was over before its issuer answered", async () => {
  const scene = new Scene({ lifetime: { reintrospectMs: 5 * MINUTE_MS } });
  scene.standing = "revoked";
  scene.tenure.check();
  scene.clock.advance(5 * MINUTE_MS);
  scene.tenure[Symbol.dispose]();
  await Promise.resolve();
  assert.deepEqual(scene.happened, []);
});

Deno.test("Tenure lets a session go on that the rules let in as before", () => {
  const scene = new Scene();
  scene.tenure.check();
  scene.reload({ users: ["alice"] });
  assert.deepEqual(scene.happened, []);
});

Deno.test.each<[string, Record<string, unknown>, string | undefined, string]>([
  ["the rules let nobody in like it", { match: "bob" }, undefined, "no rule lets it in any more"],
  ["the rules ask for another user", { users: ["bob"] }, undefined, "no rule lets it in any more"],
  [
    "the rules ask for another network",
    { networks: ["10.0.0.0/8"] },
    undefined,
    "no rule lets it in any more",
  ],
  ["the rules give it another role", { login_as: "reader" }, undefined, "the rules now lead elsewhere"],
  ["the backend has another database", {}, "postgres://app@db/archive", "the rules now lead elsewhere"],
  ["the backend is another host", {}, "postgres://app@db2/orders", "the rules now lead elsewhere"],
  ["the backend is another port", {}, "postgres://app@db:6000/orders", "the rules now lead elsewhere"],
])("Tenure ends a session by its at_reload when %s", (_name, rule, url, reason) => {
  for (
    const [atReload, happened] of [["keep", []], ["end_when_idle", ["0 to end when idle"]], ["end_now", [
      "0 ended now",
    ]]] as const
  ) {
    const scene = new Scene({ lifetime: { atReload } });
    scene.tenure.check();
    scene.reload(rule, url);
    assert.deepEqual(scene.happened, happened);
    if (happened.length === 0) continue;
    const [{ sqlstate, message, reason: logged }] = scene.errors;
    assert.deepEqual({ sqlstate, message, logged }, {
      sqlstate: "28000",
      message: "terminating connection because the rules no longer let it in",
      logged: reason,
    });
  }
});

Deno.test("Tenure ends a session by its at_reload when its issuer's name means another one now", () => {
  const scene = new Scene({ lifetime: { atReload: "end_now" } });
  scene.tenure.check();
  scene.isIssuerKnown = false;
  scene.reload({});
  assert.deepEqual(scene.errors.map(({ reason }) => reason), ["the token's issuer is no longer configured"]);
});

Deno.test("Tenure asks the rules about a token's age as it was at the login", () => {
  const scene = new Scene({ issuedBeforeMs: 4 * MINUTE_MS });
  scene.tenure.check();
  scene.clock.advance(30 * MINUTE_MS);
  scene.reload({ max_token_age: "5m" });
  assert.deepEqual(scene.happened, []);
  scene.reload({ max_token_age: "2m" });
  assert.deepEqual(scene.happened, ["30 to end when idle"]);
});

Deno.test("Tenure goes by the lifetime of the rule that decides after a reload", () => {
  const scene = new Scene();
  scene.tenure.check();
  scene.reload({ at_expiry: "end_now" });
  scene.clock.advance(HOUR_MS);
  assert.deepEqual(scene.happened, ["59 told", "60 ended now"]);
});

Deno.test("Tenure ends a session after a reload whose token had expired when its rule did not mind", () => {
  const scene = new Scene();
  scene.tenure.check();
  scene.clock.advance(2 * HOUR_MS);
  scene.tenure.check();
  scene.reload({ at_expiry: "end_when_idle" });
  assert.deepEqual(scene.happened, ["120 to end when idle"]);
});

Deno.test("Tenure puts no question off because of reloads", () => {
  const scene = new Scene({ lifetime: { reintrospectMs: 5 * MINUTE_MS } });
  scene.tenure.check();
  for (let minute = 0; minute < 6; minute++) {
    scene.reload({ reintrospect: "5m" });
    scene.clock.advance(MINUTE_MS);
  }
  assert.equal(scene.asked, 1);
});

Deno.test("Tenure holds a denied token against the deny list of after the reload", () => {
  const scene = new Scene({ lifetime: { atReload: "keep", atRevocation: "end_now" } });
  scene.tenure.check();
  scene.isDenied = true;
  scene.reload({ match: "bob" });
  assert.deepEqual(scene.happened, ["0 ended now"]);
});

Deno.test("Tenure goes by the last of two reloads, however long the rules of the first take", async () => {
  const scene = new Scene({ lifetime: { atReload: "end_now" } });
  scene.tenure.check();
  const decide = scene.holdDecisions();
  scene.reload({ match: "bob" });
  scene.pace = atOnce;
  scene.reload({ max_session: "10m" });
  decide();
  await pass(scene);
  assert.deepEqual(scene.happened, []);
  scene.clock.advance(9 * MINUTE_MS);
  assert.deepEqual(scene.happened, ["9 told", "10 to end when idle"]);
});

Deno.test("Tenure ends a session denied while the rules are asked, as the rule of after the reload says", async () => {
  const scene = new Scene({ lifetime: { atRevocation: "keep" } });
  scene.tenure.check();
  const decide = scene.holdDecisions();
  scene.reload({ at_revocation: "end_now" });
  scene.isDenied = true;
  scene.tenure.check();
  decide();
  await pass(scene);
  assert.deepEqual(scene.happened, ["1 ended now"]);
});

Deno.test("Tenure leaves a session alone that ends while the rules are asked about it", async () => {
  const scene = new Scene();
  scene.tenure.check();
  scene.pace = (work) => Promise.resolve().then(() => atOnce(work));
  scene.reload({ match: "bob" });
  scene.tenure[Symbol.dispose]();
  await pass(scene);
  assert.deepEqual(scene.happened, []);
});

/** Lets a minute pass, and whoever was asked in it answer. */
async function pass(scene: Scene): Promise<void> {
  scene.clock.advance(MINUTE_MS);
  // Answers take a few turns of promises, and no time.
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

Deno.test("Tenure ends a session that was idle for longer than its rule allows", () => {
  const scene = new Scene({ lifetime: { idleMs: 8 * MINUTE_MS } });
  scene.tenure.check();
  scene.clock.advance(7 * MINUTE_MS);
  scene.doing = { ...scene.doing, bytesIn: 10 };
  scene.clock.advance(8 * MINUTE_MS);
  assert.deepEqual(scene.happened, []);
  scene.clock.advance(MINUTE_MS);
  assert.deepEqual(scene.happened, ["16 ended now"]);
  const [{ sqlstate, severity, message }] = scene.errors;
  assert.deepEqual([sqlstate, severity, message], [
    "57P05",
    "FATAL",
    "terminating connection due to idle-session timeout",
  ]);
});

Deno.test("Tenure ends a transaction that was idle for longer than its rule allows", () => {
  const scene = new Scene({ lifetime: { idleInTransactionMs: 8 * MINUTE_MS } });
  scene.tenure.check();
  scene.clock.advance(HOUR_MS);
  scene.doing = { ...scene.doing, state: "idle in transaction", bytesIn: 10 };
  scene.clock.advance(HOUR_MS);
  assert.deepEqual(scene.happened, ["69 ended now"]);
  const [{ sqlstate, message }] = scene.errors;
  assert.deepEqual([sqlstate, message], [
    "25P03",
    "terminating connection due to idle-in-transaction timeout",
  ]);
});

Deno.test("Tenure goes by the patience of the rule that decides after a reload, and forgets no idleness", () => {
  const scene = new Scene({ lifetime: { idleMs: 60 * MINUTE_MS } });
  scene.tenure.check();
  scene.clock.advance(30 * MINUTE_MS);
  scene.reload({ idle_timeout: "10m" });
  assert.deepEqual(scene.happened, ["30 ended now"]);
  scene.tenure[Symbol.dispose]();
  assert.equal(scene.clock.timerCount, 0);
});

Deno.test("Tenure stops looking after a reload that lets sessions be idle", () => {
  const scene = new Scene({ lifetime: { idleMs: MINUTE_MS } });
  scene.tenure.check();
  scene.reload({});
  assert.equal(scene.clock.timerCount, 0);
});
