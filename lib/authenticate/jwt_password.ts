// The room `authenticate/`: who is the client?
// In: a session somebody asked for. Out: what `judge` made of the token presented.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
import { type Dialogue, receive, send } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import { printable } from "../printable.ts";
import { Secret } from "../secret.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { authentication } from "../wire/authentication.ts";
import { passwordMessage } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import type { Authenticating, Judge } from "./methods.ts";

/**
 * The client presents its token as its password: every driver can.
 *
 * The password travels as it is (AuthenticationCleartextPassword), so a listener offers this only inside TLS unless
 * `insecure_plaintext` says otherwise. Whatever is wrong, the client reads the same: a guess learns nothing (T16).
 *
 * @throws {PgError} 28P01 when `judge` refuses the token
 */
export function* jwtPassword<Who>(judge: Judge<Who>, { user }: Authenticating): Dialogue<Who> {
  yield* send(encodeMessage(authentication, { kind: "AuthenticationCleartextPassword" }));
  const { password } = yield* receive(passwordMessage);
  const verdict = yield* judge(new Secret(password));
  if (verdict.kind === "accepted") return verdict.who;
  const { reason, fault, blame } = verdict;
  throw new PgError(
    SQLSTATE.invalidPassword,
    `token authentication failed for user "${printable(user)}"`,
    { reason, fault, blame },
  );
}
