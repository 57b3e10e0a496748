import { createHash } from "node:crypto";
import { send } from "../dialogue.ts";
import type { AuthenticationMd5Password } from "../wire/authentication.ts";
import { passwordMessage } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import type { LoginMethod } from "./methods.ts";
import { passwordOf } from "./password.ts";

/**
 * The password hashed with MD5: it neither proves the backend nor withstands guessing, so off this machine it is
 * answered only where the configuration names it.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export const md5Password: LoginMethod<AuthenticationMd5Password> = {
  asked: "AuthenticationMD5Password",
  refusal(_request, { credentials: { requireAuth, channelBinding } }) {
    if (channelBinding === "require") return "it asked for MD5, and channel_binding is require";
    return requireAuth.includes("md5") ? undefined : "it asked for MD5, which require_auth does not allow";
  },
  *speak({ salt }, login) {
    const inner = md5(passwordOf(login.credentials).reveal(), login.credentials.user);
    const password = `md5${md5(inner, salt)}`;
    yield* send(encodeMessage(passwordMessage, { kind: "PasswordMessage", password }));
    yield* login.receiveAuthentication("AuthenticationOk");
  },
};

function md5(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
