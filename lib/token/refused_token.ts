/** Why a token was refused: a stable word for the log and the metrics, never for the client. */
export type TokenFault =
  | "not_a_token"
  | "too_long"
  | "malformed"
  | "encrypted"
  | "unknown_issuer"
  | "algorithm"
  | "unknown_key"
  | "signature"
  | "audience"
  | "expired"
  | "not_yet_valid"
  | "type"
  | "client"
  | "claim"
  | "critical"
  | "bound"
  | "unbound"
  | "inactive"
  | "denied"
  | "other_issuer"
  | "not_authorized"
  | "keys_unavailable"
  | "issuer_unavailable"
  | "validator_unavailable";

/** The token may be good: it could not be found out. */
const NOT_FOUND_OUT: ReadonlySet<TokenFault> = new Set([
  "keys_unavailable",
  "issuer_unavailable",
  "validator_unavailable",
]);

/**
 * The token is not good. The message is the reason for the log: it names members of the token, never their values,
 * because before its signature is checked a token says whatever an attacker wants in the log.
 *
 * There is deliberately no `cause`: parsers and libraries quote their input in theirs.
 */
export class TokenRefused extends Error {
  override readonly name = "TokenRefused";
  readonly fault: TokenFault;

  constructor(fault: TokenFault, reason: string) {
    super(reason);
    this.fault = fault;
  }

  /** Whose fault it is: that of the issuer, or who speaks for it, where nobody could say whether the token is good. */
  get blame(): "frontend" | "issuer" {
    return NOT_FOUND_OUT.has(this.fault) ? "issuer" : "frontend";
  }
}
