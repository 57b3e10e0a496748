import type { Stay } from "./admission.ts";
import { deciding, type Decision } from "./authorize/decide.ts";
import type { Ending, Lifetime } from "./authorize/lifetime.ts";
import type { Chronicle } from "./chronicle.ts";
import type { PgError } from "./errors.ts";
import { IdleWatch } from "./idle_watch.ts";
import type { Relay } from "./relay/relay.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import { whenThere } from "./soon.ts";
import type { Standing } from "./token_desk.ts";
import { denied, expired, lastedTooLong, notLetIn, revoked, soonOver } from "./tenure_words.ts";

/** How long before its end a client is told of it, in milliseconds. */
const NOTICE_MS = 60_000;

/** An issuer's clock may be ahead, and calls an expired token inactive, like a revoked one: so it is asked no later. */
const ISSUER_CLOCK_MS = 60_000;

/** The longest wait, in milliseconds: the machine may sleep, and its clock be set. */
const LONGEST_WAIT_MS = 10 * 60_000;

/** By how much the time between two questions to an issuer differs, so that sessions do not all ask at once. */
const JITTER = 0.1;

/** What a tenure needs of the session it is about. */
export interface TenureOptions {
  readonly relay: Pick<Relay, "end" | "endWhenIdle" | "notify" | "standing">;
  readonly house: Pick<SessionHouse, "settings" | "wallClock" | "after" | "random" | "pace">;
  readonly chronicle: Pick<Chronicle, "note">;
}

/** A time at which a session is to end. */
interface Term {
  readonly atMs: number;
  readonly ending: Ending;
  readonly error: () => PgError;
  readonly notice: (secondsLeft: number) => Uint8Array;
}

/**
 * How long one session may stay: until its token expires or is withdrawn, until it has lasted as long as its rule allows, or
 * been idle, or until the rules have changed; as far as its rule minds that.
 *
 * It has one timer at most, and none where nothing limits it: most sessions are idle, and there are many.
 */
export class Tenure implements Disposable {
  readonly #stay: Stay;
  readonly #options: TenureOptions;
  #lifetime: Lifetime;
  /** What was to be done up to then has been done. */
  #doneMs = -Infinity;
  #askAtMs = Infinity;
  #idleWatch: IdleWatch | null = null;
  #isOver = false;
  #stopTimer: (() => void) | null = null;

  constructor(stay: Stay, options: TenureOptions) {
    this.#stay = stay;
    this.#options = options;
    this.#lifetime = stay.lifetime;
    this.#planToAsk();
    this.#watchIdleness();
  }

  /** The name of the backend it is at. */
  get backend(): string {
    return this.#stay.granted.backend;
  }

  /** The session begins, or something has changed that does not concern the rules: a deny list, or the time. */
  check(): void {
    if (this.#isOver) return;
    const { tokens } = this.#options.house.settings();
    whenThere(tokens.standingOf(this.#stay.token), (standing) => this.#goBy(standing));
  }

  /** The configuration has changed: the rules are asked again, and the one that decides now says how long it may last. */
  review(): void {
    if (this.#isOver) return;
    const { house } = this.#options;
    const settings = house.settings();
    const { sinceMs, ...asked } = this.#stay;
    // A later change has a review of its own, and must not be undone by this one.
    const isOutdated = () => this.#isOver || settings !== house.settings();
    whenThere(house.pace(deciding(settings.policy, { ...asked, nowMs: sinceMs })), (decision) => {
      if (isOutdated()) return;
      // Asked last: the rules may take long, and a deny list change meanwhile.
      whenThere(settings.tokens.standingOf(asked.token), (standing) => {
        if (!isOutdated()) this.#adopt(decision, { standing, settings });
      });
    });
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#stopTimer?.();
  }

  #goBy(standing: Standing): void {
    if (this.#isOver) return;
    if (standing === "denied") this.#end(this.#lifetime.atRevocation, denied());
    this.#keepTime();
  }

  #adopt(
    decision: Decision,
    { standing, settings: { backends } }: { readonly standing: Standing; readonly settings: SessionSettings },
  ): void {
    const { granted } = this.#stay;
    if (standing === "of no issuer of ours") {
      this.#end(this.#lifetime.atReload, notLetIn("the token's issuer is no longer configured"));
    } else if (decision.outcome === "refused") {
      this.#end(this.#lifetime.atReload, notLetIn("no rule lets it in any more"));
    } else if (!isSame(granted, { ...decision, hosts: backends.get(decision.backend)!.target.hosts })) {
      this.#end(this.#lifetime.atReload, notLetIn("the rules now lead elsewhere"));
    } else {
      this.#lifetime = decision.lifetime;
      // What the old rule let pass may be too late for the new one.
      this.#doneMs = -Infinity;
      this.#planToAsk();
      this.#watchIdleness();
    }
    this.#goBy(standing);
  }

  /** Does what is due, and sets the timer for what comes next. */
  #keepTime(): void {
    const nowMs = this.#options.house.wallClock();
    for (const term of this.#terms()) {
      const noticeMs = term.atMs - NOTICE_MS;
      if (isBetween(this.#doneMs, term.atMs, nowMs)) this.#end(term.ending, term.error());
      else if (isBetween(this.#doneMs, noticeMs, nowMs) && nowMs < term.atMs) this.#tell(term, nowMs);
    }
    this.#doneMs = nowMs;
    if (this.#askAtMs <= nowMs) this.#ask();
    if (this.#idleWatch !== null) this.#lookFor(this.#idleWatch, nowMs);
    this.#setTimer(nowMs);
  }

  #setTimer(nowMs: number): void {
    this.#stopTimer?.();
    this.#stopTimer = null;
    if (this.#isOver) return;
    const times = this.#terms().flatMap(({ atMs }) => [atMs - NOTICE_MS, atMs]);
    const lookMs = this.#idleWatch?.nextMs(nowMs) ?? Infinity;
    const nextMs = Math.min(this.#askAtMs, lookMs, ...times.filter((atMs) => atMs > nowMs));
    if (nextMs === Infinity) return;
    const waitMs = Math.min(nextMs - nowMs, LONGEST_WAIT_MS);
    this.#stopTimer = this.#options.house.after(waitMs, () => this.#keepTime());
  }

  #terms(): readonly Term[] {
    const { sinceMs, token } = this.#stay;
    const { atExpiry, maxSessionMs } = this.#lifetime;
    const terms: Term[] = [];
    if (atExpiry !== "keep") {
      const notice = (seconds: number) =>
        soonOver(`this connection's token expires in ${seconds} s`, atExpiry);
      terms.push({ atMs: token.expiresAtMs, ending: atExpiry, error: expired, notice });
    }
    if (maxSessionMs !== undefined) {
      const ending = "end_when_idle";
      const notice = (seconds: number) =>
        soonOver(`this connection has lasted as long as it may in ${seconds} s`, ending);
      terms.push({ atMs: sinceMs + maxSessionMs, ending, error: lastedTooLong, notice });
    }
    return terms;
  }

  #tell({ atMs, notice }: Term, nowMs: number): void {
    // Who replicates takes a stream of its own kind: a word in between is more than some can bear.
    if (this.#stay.replication) return;
    this.#options.relay.notify(notice(Math.ceil((atMs - nowMs) / 1000)));
  }

  #end(ending: Ending, error: PgError): void {
    switch (ending) {
      case "keep":
        return;
      case "end_when_idle":
        return this.#options.relay.endWhenIdle(error);
      case "end_now":
        this.#options.relay.end(error);
    }
  }

  #lookFor(idleness: IdleWatch, nowMs: number): void {
    const error = idleness.look(this.#options.relay.standing, nowMs);
    if (error === null) return;
    // It takes a moment to end, in which there is nothing more to look for.
    this.#idleWatch = null;
    this.#end("end_now", error);
  }

  /** Most rules let sessions be idle: those take no memory. */
  #watchIdleness(): void {
    if (!IdleWatch.isNeeded(this.#lifetime)) this.#idleWatch = null;
    else if (this.#idleWatch !== null) this.#idleWatch.apply(this.#lifetime);
    else this.#idleWatch = new IdleWatch(this.#lifetime);
  }

  #planToAsk(): void {
    const { presented, token } = this.#stay;
    const { reintrospectMs } = this.#lifetime;
    if (presented === undefined || reintrospectMs === undefined) {
      this.#askAtMs = Infinity;
      return;
    }
    const { wallClock, random } = this.#options.house;
    const inMs = reintrospectMs * (1 - JITTER + 2 * JITTER * random());
    // Reloads one behind the other must not put the question off for ever.
    const atMs = Math.min(this.#askAtMs, wallClock() + inMs);
    this.#askAtMs = atMs < token.expiresAtMs - ISSUER_CLOCK_MS ? atMs : Infinity;
  }

  /** Asks the issuer whether the token is still good. Never rejects. */
  async #ask(): Promise<void> {
    this.#askAtMs = Infinity;
    const { token, presented } = this.#stay;
    const { house, chronicle } = this.#options;
    const standing = await house.settings().tokens.introspectAgain(presented!.reveal(), token)
      .catch(() => "unknown" as const);
    if (this.#isOver) return;
    if (standing === "revoked") return this.#end(this.#lifetime.atRevocation, revoked());
    if (standing === "unknown") chronicle.note({ kind: "reintrospection_failed", issuer: token.issuer });
    this.#planToAsk();
    this.#setTimer(house.wallClock());
  }
}

function isBetween(afterMs: number, atMs: number, untilMs: number): boolean {
  return afterMs < atMs && atMs <= untilMs;
}

/** Whether a session is where, and as whom, it would be let in now. */
function isSame(had: Stay["granted"], has: Stay["granted"]): boolean {
  return had.backend === has.backend && had.role === has.role && had.database === has.database &&
    JSON.stringify(had.hosts) === JSON.stringify(has.hosts);
}
