/** What a verifier reports while it runs; nothing in it comes from an unverified token. */
export type TokenEvent =
  /** The key set was fetched and differs from the one before. */
  | { readonly kind: "key_set_changed"; readonly issuer: string; readonly keys: number }
  /** The key set was fetched and is the one before. */
  | { readonly kind: "key_set_unchanged"; readonly issuer: string }
  /** The key set could not be had; the keys of before, if any, stay in use up to an hour. */
  | { readonly kind: "key_set_failed"; readonly issuer: string; readonly problem: string }
  /** A key of the set cannot be used: its place in the set, counted from 0, and a clause that says why. */
  | {
    readonly kind: "key_skipped";
    readonly issuer: string;
    readonly index: number;
    readonly reason: string;
  }
  /** The issuer was asked about a token; several who ask about one at the same time have the same answer. */
  | {
    readonly kind: "introspected";
    readonly issuer: string;
    readonly outcome: "active" | "inactive" | "unavailable";
  }
  /** The issuer does not take the proxy's credentials; told once until it has answered again. */
  | { readonly kind: "introspection_refused"; readonly issuer: string; readonly problem: string }
  /** At a reload the issuer could not be asked about a token of ours, or has answered what it must not. */
  | { readonly kind: "introspection_unusable"; readonly issuer: string; readonly problem: string }
  /** The issuer has not answered several times in a row: for a while it is not asked about tokens. */
  | { readonly kind: "introspection_stopped"; readonly issuer: string; readonly problem: string }
  /** It has answered again. */
  | { readonly kind: "introspection_resumed"; readonly issuer: string }
  /** The deny list was read again, and says something else, or can be used again. */
  | { readonly kind: "deny_list_changed"; readonly issuer: string; readonly entries: number }
  /** The deny list cannot be used as it is now: what it said before holds. */
  | { readonly kind: "deny_list_failed"; readonly issuer: string; readonly problem: string }
  /** A line that a validator has written for the log, fit to be printed; so many before it were passed over. */
  | {
    readonly kind: "validator_said";
    readonly issuer: string;
    readonly line: string;
    readonly passedOver: number;
  }
  /** A validator has ended, or done something wrong, and is to be started again. */
  | {
    readonly kind: "validator_restarting";
    readonly issuer: string;
    readonly problem: string;
    readonly delayMs: number;
  };

/** Something is wrong with one issuer: its name in the configuration, and a sentence. */
export interface IssuerProblem {
  readonly issuer: string;
  /** Where in the issuer's table to look first: `["introspection", "endpoint"]`; without it, where its keys are. */
  readonly key?: readonly string[];
  readonly message: string;
}

/** Every problem found while issuers were set up, one sentence each in `problems`. */
export class IssuersMisconfigured extends Error {
  override readonly name = "IssuersMisconfigured";
  readonly problems: readonly IssuerProblem[];

  constructor(problems: readonly IssuerProblem[]) {
    super(problems.map(({ issuer, message }) => `Issuer "${issuer}": ${message}`).join("\n"));
    this.problems = problems;
  }
}
