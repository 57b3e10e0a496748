import { type Admission, factsOf } from "./admission.ts";
import type { MethodName, Verdict } from "./authenticate/methods.ts";
import { DiscoveryAnswered } from "./authenticate/oauthbearer.ts";
import type { Chronicle } from "./chronicle.ts";
import type { PgError } from "./errors.ts";
import type { AskedFor, Whose } from "./observe/events.ts";
import { Stages } from "./stages.ts";
import type { SessionRequest } from "./startup/session_request.ts";

/** What is known of one login so far, and how the observer is told what became of it. */
export class LoginRecord {
  readonly stages: Stages;
  readonly #chronicle: Chronicle;
  #asked: AskedFor = {};
  #method?: MethodName;
  /** Who it speaks for, once that is known. */
  #whose?: Partial<Whose>;

  /** `now` is in milliseconds on a clock that only goes forward; the login begins now. */
  constructor(chronicle: Chronicle, now: () => number) {
    this.#chronicle = chronicle;
    this.stages = new Stages(now);
  }

  /** Whether its client has asked for a session. */
  get hasAsked(): boolean {
    return this.#asked.user !== undefined;
  }

  /** This is what its client asks for. */
  asks({ user, database, settings }: SessionRequest): void {
    this.#asked = { user, database, applicationName: settings.get("application_name") };
  }

  /** This is how its token is to be presented. */
  goesBy(method: MethodName): void {
    this.#method = method;
  }

  /** This became of its token. */
  isJudged(verdict: Verdict<Admission>): void {
    this.#whose = verdict.kind === "accepted" ? factsOf(verdict.who) : verdict.whose;
  }

  /** Its token is good, and a rule lets its bearer in. */
  tokenAccepted({ token: { issuer } }: Admission): void {
    this.#chronicle.note({ kind: "token_accepted", method: this.#method!, issuer, asked: this.#asked });
  }

  /** It is in. */
  authenticated(admission: Admission): void {
    const login = { method: this.#method!, ...factsOf(admission), ...this.#times };
    this.#chronicle.note({ kind: "authenticated", asked: this.#asked, ...login });
  }

  /** It came to nothing. */
  refused(error: PgError): void {
    const { durationMs } = this.#times;
    // What every login by OAUTHBEARER begins with is no refusal, though on the wire it looks like one.
    if (error instanceof DiscoveryAnswered) {
      this.#chronicle.note({ kind: "discovery_answered", asked: this.#asked, durationMs });
      return;
    }
    const { sqlstate, message, reason, fault, blame, cause } = error;
    const why = { sqlstate, message, reason, fault, blame, cause };
    const known = { method: this.#method, whose: this.#whose, ...this.#times };
    this.#chronicle.note({ kind: "login_refused", asked: this.#asked, ...why, ...known });
  }

  get #times() {
    return { durationMs: this.#chronicle.elapsedMs, stages: this.stages.over };
  }
}
