import { send } from "../dialogue.ts";
import type { AuthenticationCleartextPassword } from "../wire/authentication.ts";
import { passwordMessage } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import type { LoginMethod } from "./methods.ts";
import { passwordOf } from "./password.ts";

/** The password as it is: only where nobody can listen. */
export const cleartextPassword: LoginMethod<AuthenticationCleartextPassword> = {
  asked: "AuthenticationCleartextPassword",
  refusal(_request, { credentials: { requireAuth, channelBinding, isEncrypted, isLocal } }) {
    if (channelBinding === "require") return "it asked for the password, and channel_binding is require";
    if (!requireAuth.includes("password")) {
      return "it asked for the password, which require_auth does not allow";
    }
    return isEncrypted || isLocal ? undefined : "it asked for the password without TLS";
  },
  *speak(_request, login) {
    const password = passwordOf(login.credentials).reveal();
    yield* send(encodeMessage(passwordMessage, { kind: "PasswordMessage", password }));
    yield* login.receiveAuthentication("AuthenticationOk");
  },
};
