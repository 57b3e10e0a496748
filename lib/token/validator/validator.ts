// In: a token, and who asks for what with it. Out: what a program of the operator's says of it, in the names of claims.
// The program outlives many logins, and everything it does wrong costs a login, never the proxy.
// README.md beside this file: the protocol, one JSON object a line in each direction.

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

/** The program has not answered as it must; the message is a clause that follows "The validator", and quotes nothing. */
export class ValidatorFault extends Error {
  override readonly name = "ValidatorFault";
}
