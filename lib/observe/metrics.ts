import type { Census } from "./census.ts";
import { EventLoopWatch, type EventLoopWatchOptions } from "./event_loop_watch.ts";
import type { Ending, Login, LoginRefusal, LoginStage, ProxyEvent, SessionEvent } from "./events.ts";
import type { Soon } from "../soon.ts";
import { declareMetrics } from "./metric_declarations.ts";
import { MetricSet } from "./metric_set.ts";
import { refusalReason } from "./refusal_reason.ts";
import { StandingFigures, takeProcessFigures } from "./standing_figures.ts";

/** The clocks of {@link Metrics}; default: the machine's. */
export interface MetricsOptions extends Partial<EventLoopWatchOptions> {
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number;
}

/**
 * What happens, counted: an observer whose text Prometheus reads.
 *
 * The values of labels are names of the configuration and words of ours. Users, databases, identities and addresses are in
 * the log: whoever could choose a label's value could have as many series as they like, and the memory that takes (T17).
 */
export class Metrics implements Disposable {
  readonly #set = new MetricSet();
  readonly #metrics = declareMetrics(this.#set);
  readonly #wallClock: () => number;
  readonly #eventLoopWatch: EventLoopWatch;
  readonly #standing = new StandingFigures(this.#metrics);
  #census: () => Soon<Census | undefined> = () => undefined;

  constructor(options: MetricsOptions = {}) {
    const { wallClock = Date.now, now = () => performance.now(), after = afterUnnoticed } = options;
    this.#wallClock = wallClock;
    const { reloads, refreshTime, cancels, startTime, eventLoopLag } = this.#metrics;
    startTime.set(performance.timeOrigin / 1000);
    refreshTime.set(wallClock() / 1000);
    // What has never happened is 0, so that the first time shows as a step.
    for (const result of ["success", "failure"]) reloads.inc({ result }, 0);
    for (const result of ["accepted", "unknown"]) cancels.inc({ result }, 0);
    this.#eventLoopWatch = new EventLoopWatch((seconds) => eventLoopLag.observe(seconds), { now, after });
  }

  /** The media type of {@link text}. */
  get contentType(): string {
    return this.#set.contentType;
  }

  /** From now on `census` is asked for what is not told by events, each time somebody asks for the text. */
  watch(census: () => Soon<Census | undefined>): void {
    this.#census = census;
  }

  /** What Prometheus reads. */
  async text(): Promise<string> {
    const census = await this.#census();
    this.#standing.take(census);
    takeProcessFigures(this.#metrics, census?.workers);
    for (const seconds of census?.workers?.lagsSeconds ?? []) this.#metrics.eventLoopLag.observe(seconds);
    return await this.#set.text();
  }

  /** Counts an event. */
  readonly observe = (event: SessionEvent | ProxyEvent): void => {
    if ("connection" in event) this.#countOfSession(event);
    else this.#countOfProxy(event);
  };

  [Symbol.dispose](): void {
    this.#eventLoopWatch[Symbol.dispose]();
  }

  #countOfSession(event: SessionEvent): void {
    const metrics = this.#metrics;
    switch (event.kind) {
      case "connection_opened":
        return metrics.connectionsOpened.inc();
      case "cancel_requested":
        return metrics.cancels.inc({ result: event.isKnown ? "accepted" : "unknown" });
      case "cancel_failed":
        return metrics.cancelFailures.inc();
      case "limit_hit":
        return metrics.limitsHit.inc({ limit: event.limit });
      case "token_accepted":
        metrics.authSuccesses.inc();
        return metrics.tokensAccepted.inc({ issuer: event.issuer, method: event.method });
      case "backend_tried":
        return this.#countBackend(event);
      case "discovery_answered":
        return metrics.discoveries.inc();
      case "login_refused":
        return this.#countRefusal(event);
      case "authenticated":
        return this.#countLogin(event);
      case "reintrospection_failed":
        return metrics.reintrospectionFailures.inc({ issuer: event.issuer });
      case "session_ended":
        return this.#countEnding(event);
    }
  }

  #countOfProxy(event: ProxyEvent): void {
    const metrics = this.#metrics;
    switch (event.kind) {
      case "accept_paused":
        return metrics.acceptPauses.inc();
      case "issuer_keys_changed":
        return metrics.issuerFetches.inc({ issuer: event.issuer, result: "changed" });
      case "issuer_keys_unchanged":
        return metrics.issuerFetches.inc({ issuer: event.issuer, result: "unchanged" });
      case "issuer_fetch_failed":
        return metrics.issuerFetches.inc({ issuer: event.issuer, result: "failed" });
      case "issuer_key_skipped":
        return metrics.keysSkipped.inc({ issuer: event.issuer });
      case "issuer_introspected":
        return metrics.introspections.inc({ issuer: event.issuer, result: event.outcome });
      case "issuer_introspection_stopped":
        return metrics.introspectionStops.inc({ issuer: event.issuer });
      case "validator_restarting":
        return metrics.validatorRestarts.inc({ issuer: event.issuer });
      case "deny_list_changed":
        return metrics.denyListEntries.set({ issuer: event.issuer }, event.entries);
      case "deny_list_failed":
        return metrics.denyListFailures.inc({ issuer: event.issuer });
      case "backend_probed":
        return metrics.backendUp.set({ backend: event.backend }, event.problem === undefined ? 1 : 0);
      case "output_failed":
        return metrics.outputFailures.inc({ output: event.output });
      case "lines_lost":
        return metrics.linesLost.inc({ output: event.output }, event.lines);
      case "configuration_reloaded":
        metrics.backendUp.reset();
        metrics.refreshTime.set(this.#wallClock() / 1000);
        return metrics.reloads.inc({ result: "success" });
      case "reload_failed":
        return metrics.reloads.inc({ result: "failure" });
      case "draining":
        return metrics.drains.inc();
      case "worker_lost":
        return metrics.workersLost.inc();
      case "drained":
        return metrics.sessionsCut.inc(event.sessionsCut);
    }
  }

  #countBackend({ backend, host, isReached }: Extract<SessionEvent, { kind: "backend_tried" }>): void {
    const { dialSuccesses, dialFailures, backendLogins, backendUp } = this.#metrics;
    // A login that fails says little: it may be the password's fault.
    if (isReached) backendUp.set({ backend }, 1);
    (isReached ? dialSuccesses : dialFailures).inc({ host });
    backendLogins.inc({ backend, result: isReached ? "success" : "failure" });
  }

  #countLogin({ method, durationMs, stages }: Login): void {
    this.#metrics.logins.inc({ result: "success", reason: "none", blame: "none", method });
    this.#timeLogin("success", { durationMs, stages });
  }

  #countRefusal({ fault, sqlstate, blame, method, durationMs, stages }: LoginRefusal): void {
    const { logins, authFailures, limitsHit } = this.#metrics;
    const reason = refusalReason({ fault, sqlstate });
    logins.inc({ result: "failure", reason, blame, method: method ?? "none" });
    this.#timeLogin("failure", { durationMs, stages });
    if (method !== undefined && !stages.some(({ name }) => name === "backend")) authFailures.inc();
    if (fault !== undefined && LIMIT_CODES.has(sqlstate)) limitsHit.inc({ limit: fault });
  }

  #timeLogin(
    result: "success" | "failure",
    { durationMs, stages }: { readonly durationMs: number; readonly stages: readonly LoginStage[] },
  ): void {
    const { loginSeconds } = this.#metrics;
    for (const { name, durationMs } of stages) {
      loginSeconds.observe({ stage: name, result }, durationMs / 1000);
    }
    loginSeconds.observe({ stage: "total", result }, durationMs / 1000);
  }

  #countEnding({ how, backend }: Ending): void {
    this.#metrics.sessionsEnded.inc({ backend, how });
  }
}

/** 53300: too many of something; 57014: it took too long. A backend's own have no fault of ours. */
const LIMIT_CODES = new Set(["53300", "57014"]);

/** A timer that does not keep the program running. */
function afterUnnoticed(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms);
  Deno.unrefTimer(timer);
  return () => clearTimeout(timer);
}
