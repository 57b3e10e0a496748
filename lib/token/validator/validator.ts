import type { AskedOfUs } from "../presentation.ts";

/** What an external validator is asked. */
export interface ValidatorQuestion {
  readonly token: string;
  readonly asked?: AskedOfUs;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** A program of the operator's that says whether a token is good. */
export interface Validator {
  /**
   * What it says of a good token, in the names of claims: `sub`, `roles`, `exp`.
   *
   * @throws {TokenRefused} not_authorized, expired; validator_unavailable when it does not answer, or not as it must
   */
  validate(question: ValidatorQuestion): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}
