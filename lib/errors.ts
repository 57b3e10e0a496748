import { SQLSTATE, type Sqlstate } from "./sqlstate.ts";

/** Severity of an ErrorResponse; before login is complete it is always FATAL. */
export type Severity = "ERROR" | "FATAL" | "PANIC";

/** Whose fault an error is: it decides the log level, never what the client reads. */
export type Blame = "frontend" | "backend" | "issuer" | "operator" | "proxy";

/** What a {@link PgError} carries besides its message. */
export interface PgErrorOptions {
  readonly severity?: Severity;
  /** DETAIL the client may read. */
  readonly detail?: string;
  /** HINT the client may read. */
  readonly hint?: string;
  readonly blame?: Blame;
  /** For the log only: what the client must not learn. Never a secret. */
  readonly reason?: string;
  /** One word of a few, which says for the metrics what the SQLSTATE does not. */
  readonly fault?: string;
  /** For the log only. */
  readonly cause?: unknown;
}

/**
 * The one error a client is ever told about: it becomes one ErrorResponse (B).
 *
 * Everything in `message`, `detail` and `hint` reaches the client; `reason` and `cause` reach only the log.
 */
export class PgError extends Error {
  override readonly name = "PgError";
  readonly sqlstate: Sqlstate;
  readonly severity: Severity;
  readonly detail?: string;
  readonly hint?: string;
  readonly blame: Blame;
  readonly reason?: string;
  readonly fault?: string;

  constructor(sqlstate: Sqlstate, message: string, options: PgErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.sqlstate = sqlstate;
    this.severity = options.severity ?? "FATAL";
    this.detail = options.detail;
    this.hint = options.hint;
    this.blame = options.blame ?? "frontend";
    this.reason = options.reason;
    this.fault = options.fault;
  }
}

/** The peer broke the protocol: FATAL 08P01. */
export function protocolViolation(message: string, options: PgErrorOptions = {}): PgError {
  return new PgError(SQLSTATE.protocolViolation, message, options);
}

/** Any thrown value as a {@link PgError}: what we did not foresee becomes a bland XX000 with its cause for the log. */
export function asPgError(thrown: unknown): PgError {
  if (thrown instanceof PgError) return thrown;
  return new PgError(SQLSTATE.internalError, "internal error in the proxy", {
    blame: "proxy",
    cause: thrown,
  });
}
