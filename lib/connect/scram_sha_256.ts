import { timingSafeEqual } from "node:crypto";
import { send } from "../dialogue.ts";
import type { AuthenticationSasl } from "../wire/authentication.ts";
import { saslInitialResponse, saslResponse } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import { loginRefused } from "./backend_error.ts";
import { chooseBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from "./channel_binding.ts";
import type { LoginMethod } from "./methods.ts";
import { passwordOf } from "./password.ts";
import { deriveScramKeys, randomBytes } from "./questions.ts";
import { clientProof, serverSignature } from "./scram_keys.ts";
import { parseServerFinal, parseServerFirst } from "./scram_messages.ts";

/** As many random bytes as libpq puts into a nonce. */
const NONCE_BYTES = 18;

/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: both sides prove that they know the password, and neither tells it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-3 and https://www.rfc-editor.org/rfc/rfc7677
 */
export const scramSha256: LoginMethod<AuthenticationSasl> = {
  asked: "AuthenticationSASL",
  mechanisms: [SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
  refusal: ({ mechanisms }, { credentials }) => {
    const choice = chooseBinding(mechanisms, credentials);
    return choice.ok ? undefined : choice.refusal;
  },
  *speak({ mechanisms }, login) {
    const choice = chooseBinding(mechanisms, login.credentials);
    if (!choice.ok) throw login.violation(choice.refusal);
    const { mechanism, gs2Header, bindingData } = choice;
    const password = passwordOf(login.credentials);

    // The user name stays empty, as in libpq: the backend goes by the StartupMessage.
    const clientNonce = base64(yield* randomBytes(NONCE_BYTES));
    const clientFirstBare = `n=,r=${clientNonce}`;
    const clientFirst = bytes(gs2Header + clientFirstBare);
    yield* send(
      encodeMessage(saslInitialResponse, { kind: "SASLInitialResponse", mechanism, data: clientFirst }),
    );

    const challenge = text((yield* login.receiveAuthentication("AuthenticationSASLContinue")).data);
    const serverFirst = parseServerFirst(challenge, clientNonce);
    if (!serverFirst.ok) throw login.violation(serverFirst.mistake);
    const { nonce, salt, iterations } = serverFirst;
    const keys = yield* deriveScramKeys({ password, salt, iterations });

    const binding = base64(Uint8Array.from([...bytes(gs2Header), ...bindingData]));
    const clientFinalWithoutProof = `c=${binding},r=${nonce}`;
    const authMessage = `${clientFirstBare},${challenge},${clientFinalWithoutProof}`;
    const proof = base64(clientProof(keys, authMessage));
    const clientFinal = bytes(`${clientFinalWithoutProof},p=${proof}`);
    yield* send(encodeMessage(saslResponse, { kind: "SASLResponse", data: clientFinal }));

    const outcome = text((yield* login.receiveAuthentication("AuthenticationSASLFinal")).data);
    const serverFinal = parseServerFinal(outcome);
    if (!serverFinal.ok) {
      if (serverFinal.refused === undefined) throw login.violation(serverFinal.mistake);
      throw loginRefused(login.credentials.backend, `it ended SCRAM with ${serverFinal.refused}`);
    }
    // Whoever cannot sign does not know the password: an impostor, however friendly it goes on.
    if (!isEqual(serverFinal.signature, serverSignature(keys, authMessage))) {
      throw login.violation("its SCRAM signature is wrong: it does not know the password");
    }
    yield* login.receiveAuthentication("AuthenticationOk");
  },
};

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

function base64(data: Uint8Array): string {
  return data.toBase64();
}

function bytes(data: string): Uint8Array {
  return new TextEncoder().encode(data);
}

/** SCRAM is ASCII: what is not becomes U+FFFD, which no attribute allows. */
function text(data: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
}
