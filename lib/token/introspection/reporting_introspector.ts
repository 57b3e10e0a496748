import { TokenRefused } from "../refused_token.ts";
import type { TokenEvent } from "../token_event.ts";
import type { IntrospectionProblem, Introspector } from "./introspector.ts";

/** What became of one question. */
export type IntrospectionOutcome = Extract<TokenEvent, { kind: "introspected" }>["outcome"];

/** Another introspector, of which is told what becomes of each question. */
export class ReportingIntrospector implements Introspector {
  readonly #introspector: Introspector;
  readonly #report: (outcome: IntrospectionOutcome) => void;

  constructor(introspector: Introspector, report: (outcome: IntrospectionOutcome) => void) {
    this.#introspector = introspector;
    this.#report = report;
  }

  get rememberForMs(): number {
    return this.#introspector.rememberForMs;
  }

  async introspect(token: string): Promise<Record<string, unknown>> {
    try {
      const claims = await this.#introspector.introspect(token);
      this.#report("active");
      return claims;
    } catch (error) {
      const isAnswered = error instanceof TokenRefused && error.fault !== "issuer_unavailable";
      this.#report(isAnswered ? "inactive" : "unavailable");
      throw error;
    }
  }

  probe(): Promise<IntrospectionProblem | undefined> {
    return this.#introspector.probe();
  }

  close(): Promise<void> {
    return this.#introspector.close();
  }
}
