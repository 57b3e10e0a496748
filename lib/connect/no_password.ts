import type { AuthenticationOk } from "../wire/authentication.ts";
import type { LoginMethod } from "./methods.ts";

/** The backend lets us in at once: it trusts where we come from, or the certificate we showed in TLS. */
export const noPassword: LoginMethod<AuthenticationOk> = {
  asked: "AuthenticationOk",
  refusal(_request, { credentials: { requireAuth, channelBinding, hasClientCertificate } }) {
    if (channelBinding === "require") return "it asked for nothing, and channel_binding is require";
    if (requireAuth.includes("none")) return undefined;
    if (requireAuth.includes("cert") && hasClientCertificate) return undefined;
    // An impostor would ask for nothing, too: it has no way to check what we could give.
    return "it asked for nothing, and require_auth does not allow none";
  },
  *speak() {},
};
