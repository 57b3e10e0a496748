import type { Credentials } from "./login.ts";

/** SCRAM that may be carried on by someone in the middle. */
export const SCRAM_SHA_256 = "SCRAM-SHA-256";
/** SCRAM bound to the TLS it runs in. */
export const SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS";

/** Which of the mechanisms offered is spoken, and how it is bound to TLS; or why none is. */
export type BindingChoice =
  | {
    readonly ok: true;
    readonly mechanism: string;
    readonly gs2Header: string;
    /** What follows the header in `c=`; empty without binding. */
    readonly bindingData: Uint8Array;
  }
  | { readonly ok: false; readonly refusal: string };

/**
 * Chooses between SCRAM-SHA-256 and its PLUS. Bound to the certificate of the TLS it runs in, SCRAM cannot be relayed by
 * someone in the middle, not even one with a certificate we would accept.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-6
 */
export function chooseBinding(mechanisms: readonly string[], credentials: Credentials): BindingChoice {
  const { requireAuth, channelBinding, certificateHash, isEncrypted } = credentials;
  const isPlusOffered = mechanisms.includes(SCRAM_SHA_256_PLUS);
  const mayPlain = requireAuth.includes("scram-sha-256") && channelBinding !== "require";
  const mayPlus = (requireAuth.includes("scram-sha-256-plus") || requireAuth.includes("scram-sha-256")) &&
    channelBinding !== "disable";
  if (isPlusOffered && !isEncrypted) return refuse("it offered SCRAM-SHA-256-PLUS without TLS");
  if (!mayPlain && !mayPlus) return refuse("it asked for SASL, which require_auth does not allow");
  if (isPlusOffered && mayPlus && certificateHash !== undefined) {
    const gs2Header = "p=tls-server-end-point,,";
    return { ok: true, mechanism: SCRAM_SHA_256_PLUS, gs2Header, bindingData: certificateHash };
  }
  if (!mayPlain) {
    return refuse(
      isPlusOffered
        ? "its certificate cannot be bound to, which channel_binding or require_auth demands"
        : "it did not offer SCRAM-SHA-256-PLUS, which channel_binding or require_auth demands",
    );
  }
  if (!mechanisms.includes(SCRAM_SHA_256)) return refuse("it did not offer SCRAM-SHA-256");
  // `y` tells the backend that we could have: if it had offered PLUS and someone took that out, it ends the login.
  const couldBind = mayPlus && certificateHash !== undefined;
  return {
    ok: true,
    mechanism: SCRAM_SHA_256,
    gs2Header: couldBind ? "y,," : "n,,",
    bindingData: new Uint8Array(),
  };
}

function refuse(refusal: string): BindingChoice {
  return { ok: false, refusal };
}
