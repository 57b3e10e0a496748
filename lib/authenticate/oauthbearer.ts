import type { Dialogue } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import { question } from "../dialogue.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { Authenticating, Judge } from "./methods.ts";

/** Asks whether this client may be told once more where tokens come from. Answered by PgError 53300 when it may not. */
export const mayDiscover = question<void, void>("may discover");

/**
 * The client has asked where to get a token, and was told. As RFC 7628 has it that is a login that fails; it is what every
 * login by this way in begins with.
 */
export class DiscoveryAnswered extends PgError {}

/** The client presents its token by SASL OAUTHBEARER. */
export function* oauthbearer<Who>(judge: Judge<Who>, about: Authenticating): Dialogue<Who> {
  yield* mayDiscover();
  void judge;
  throw new DiscoveryAnswered(SQLSTATE.invalidAuthorizationSpecification, about.user);
}
