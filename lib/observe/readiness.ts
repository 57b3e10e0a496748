import type { Observer, OutputName, ProxyEvent, SessionEvent } from "./events.ts";

/** What a configuration needs to be there. */
export interface Needs {
  /** Names of the backends, in order. */
  readonly backends: readonly string[];
  readonly issuers: readonly NeededIssuer[];
  /** Whose keys cannot be used at this moment, and why. */
  readonly keyProblems: () => readonly { readonly issuer: string; readonly message: string }[];
}

/** An issuer of the configuration. */
export interface NeededIssuer {
  readonly name: string;
  /** It has no keys: its tokens are asked about, or nothing is known of them. */
  readonly isKeyless: boolean;
}

/** Whether clients should be sent here, and what is known of what that depends on: the body of `/ready`. */
export interface ReadinessAnswer {
  readonly ready: boolean;
  /** Why not, a sentence each; empty when ready. */
  readonly reasons: readonly string[];
  /** What is wrong and does not keep clients away: a backend of several, a reload. */
  readonly warnings: readonly string[];
  readonly backends: readonly {
    readonly name: string;
    readonly answered: boolean;
    /** Since it answered last, a login or a probe; left out: never. */
    readonly answered_seconds_ago?: number;
    readonly problem?: string;
  }[];
  readonly issuers: readonly { readonly name: string; readonly usable: boolean; readonly problem?: string }[];
  /** Until a reload succeeds. */
  readonly last_reload_failure?: { readonly time: string; readonly reasons: readonly string[] };
}

/** The clocks a {@link Readiness} goes by. */
export interface ReadinessClocks {
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
}

/** How long ago a backend may have answered, in milliseconds. */
export const ANSWERED_WITHIN_MS = 60_000;

/**
 * Whether clients should be sent here: the proxy serves, keys can be used, and a backend has answered within the minute.
 *
 * One issuer that can be used and one backend that answers are enough: with several, one that is down must not take every
 * proxy out of the balancer at once, and all who need it not with it. The others are told as warnings.
 */
export class Readiness {
  readonly #clocks: ReadinessClocks;
  #needs: Needs = { backends: [], issuers: [], keyProblems: () => [] };
  #state: "starting" | "serving" | "draining" = "starting";
  /** By name: when it answered last, by the forward clock. */
  readonly #answeredMs = new Map<string, number>();
  readonly #backendProblems = new Map<string, string>();
  /** Issuers that do not answer about tokens. */
  readonly #silentIssuers = new Map<string, string>();
  readonly #outputProblems = new Map<OutputName, string>();
  #reloadFailure: ReadinessAnswer["last_reload_failure"];

  constructor(clocks: ReadinessClocks) {
    this.#clocks = clocks;
  }

  /** Goes on by what another configuration needs. */
  adopt(needs: Needs): void {
    this.#needs = needs;
    // Its issuers are asked in a moment, those of the same name too.
    this.#silentIssuers.clear();
    for (const known of [this.#answeredMs, this.#backendProblems]) {
      for (const name of known.keys()) if (!needs.backends.includes(name)) known.delete(name);
    }
  }

  /** When a backend answered last, by the forward clock, in milliseconds. */
  answeredMs(backend: string): number | undefined {
    return this.#answeredMs.get(backend);
  }

  readonly observe: Observer = (event) => this.#note(event);

  /** What is so at this moment. */
  answer(): ReadinessAnswer {
    const backends = this.#needs.backends.map((name) => this.#backend(name));
    const issuers = this.#issuers();
    const reasons = [
      ...this.#stateReasons(),
      ...reasonUnlessOne(issuers.map(({ usable }) => usable), "no issuer's keys can be used"),
      ...reasonUnlessOne(
        backends.map(({ answered }) => answered),
        `no backend has answered within the last ${ANSWERED_WITHIN_MS / 1000} s`,
      ),
    ];
    const warnings = [
      ...issuers.flatMap(({ name, problem }) => problem === undefined ? [] : [`issuer ${name}: ${problem}`]),
      ...backends.flatMap(({ name, answered, problem }) =>
        answered && problem === undefined ? [] : [`backend ${name}: ${problem ?? "it has not answered yet"}`]
      ),
      ...[...this.#outputProblems].map(([output, problem]) => `${output} file: ${problem}`),
      ...(this.#reloadFailure === undefined
        ? []
        : ["the configuration could not be reloaded, the old one stays"]),
    ];
    const last_reload_failure = this.#reloadFailure;
    return { ready: reasons.length === 0, reasons, warnings, backends, issuers, last_reload_failure };
  }

  #note(event: SessionEvent | ProxyEvent): void {
    switch (event.kind) {
      case "listening":
        if (this.#state === "starting") this.#state = "serving";
        return;
      case "draining":
        this.#state = "draining";
        return;
      case "authenticated":
        return this.#answered(event.backend);
      case "backend_tried":
        if (event.isReached) this.#answered(event.backend);
        return;
      case "backend_probed":
        if (event.problem === undefined) this.#answered(event.backend);
        else this.#backendProblems.set(event.backend, event.problem);
        return;
      case "issuer_introspection_unusable":
      case "issuer_introspection_stopped":
        this.#silentIssuers.set(event.issuer, event.reason);
        return;
      case "issuer_introspection_resumed":
        this.#silentIssuers.delete(event.issuer);
        return;
      case "issuer_introspected":
        if (event.outcome !== "unavailable") this.#silentIssuers.delete(event.issuer);
        return;
      case "output_failed":
        this.#outputProblems.set(event.output, event.reason);
        return;
      case "output_resumed":
        this.#outputProblems.delete(event.output);
        return;
      case "reload_failed": {
        const time = new Date(this.#clocks.wallClock()).toISOString();
        this.#reloadFailure = { time, reasons: event.reason.split("\n") };
        return;
      }
      case "configuration_reloaded":
        this.#reloadFailure = undefined;
    }
  }

  #answered(backend: string): void {
    this.#answeredMs.set(backend, this.#clocks.now());
    this.#backendProblems.delete(backend);
  }

  #backend(name: string): ReadinessAnswer["backends"][number] {
    const problem = this.#backendProblems.get(name);
    const answeredMs = this.#answeredMs.get(name);
    if (answeredMs === undefined) return { name, answered: false, problem };
    const agoMs = this.#clocks.now() - answeredMs;
    const answered_seconds_ago = Math.round(agoMs / 1000);
    return { name, answered: agoMs <= ANSWERED_WITHIN_MS, answered_seconds_ago, problem };
  }

  #issuers(): ReadinessAnswer["issuers"] {
    const keyProblems = new Map(this.#needs.keyProblems().map(({ issuer, message }) => [issuer, message]));
    return this.#needs.issuers.map(({ name, isKeyless }) => {
      const problem = keyProblems.get(name) ?? this.#silentIssuers.get(name);
      // One that does not answer about tokens may still have signed others.
      return { name, usable: isKeyless ? problem === undefined : !keyProblems.has(name), problem };
    });
  }

  #stateReasons(): readonly string[] {
    switch (this.#state) {
      case "starting":
        return ["not listening yet"];
      case "serving":
        return [];
      case "draining":
        return ["draining: no new connections, please"];
    }
  }
}

function reasonUnlessOne(facts: readonly boolean[], reason: string): readonly string[] {
  return facts.includes(true) ? [] : [reason];
}
