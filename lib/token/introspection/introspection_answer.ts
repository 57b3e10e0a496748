import { TokenRefused } from "../refused_token.ts";

type Members = Readonly<Record<string, unknown>>;

/** An answer that is none: no statement about the token can be read in it. The message is a clause for the operator. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/**
 * Members by which issuers tell kinds of token apart, each with the words for an access token. RFC 7662 has `token_type`
 * only; Ory Hydra calls a refresh token Bearer there and says the truth in `token_use`, Keycloak says it in `typ`.
 */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  token_type: ["bearer", "access_token", "urn:ietf:params:oauth:token-type:access_token"],
  token_use: ["access_token", "access"],
  typ: ["bearer", "access_token", "jwt", "at+jwt", "application/at+jwt"],
};

/**
 * What an introspection answer says of an active access token, in the names of claims.
 *
 * @throws {TokenRefused} inactive, type, bound, unknown_issuer
 * @throws {NoAnswer} when it does not say whether the token is active
 * @see RFC 7662 section 2.2
 */
export function claimsOfAnswer(
  answer: Members,
  { token, iss }: { readonly token: string; readonly iss: string },
): Record<string, unknown> {
  const { active, ...claims }: Record<string, unknown> = answer;
  // Not merely something true: "false" is.
  if (typeof active !== "boolean") throw new NoAnswer("does not say in active whether the token is active");
  if (!active) throw new TokenRefused("inactive", "The issuer says that the token is not active");
  checkKind(claims);
  if (Object.hasOwn(claims, "iss") && claims.iss !== iss) {
    throw new TokenRefused("unknown_issuer", "The iss of the introspection answer is not the issuer's");
  }
  // Some issuers name a token by itself, and a jti is logged.
  if (claims.jti === token) delete claims.jti;
  return claims;
}

/** A refresh token or an ID token is active as well, and must open nothing here. */
function checkKind(claims: Members): void {
  for (const [member, accepted] of Object.entries(KINDS)) {
    if (!Object.hasOwn(claims, member)) continue;
    const kind = claims[member];
    const word = typeof kind === "string" ? kind.toLowerCase() : "";
    if (word === "dpop") throw new TokenRefused("bound", "The token is bound to a DPoP key");
    if (!accepted.includes(word)) {
      throw new TokenRefused("type", `The issuer says in ${member} that this is not an access token`);
    }
  }
}
