/** server-first-message, or what is wrong with it. */
export type ServerFirst =
  | { readonly ok: true; readonly nonce: string; readonly salt: Uint8Array; readonly iterations: number }
  | Mistaken;

/** server-final-message: the backend's signature, its refusal of our proof, or what is wrong with it. */
export type ServerFinal =
  | { readonly ok: true; readonly signature: Uint8Array }
  | { readonly ok: false; readonly refused: string }
  | Mistaken;

/** Never a value of the message: it goes to the log. */
interface Mistaken {
  readonly ok: false;
  readonly refused?: undefined;
  readonly mistake: string;
}

/** RFC 7677 asks for at least this many. */
const MIN_ITERATIONS = 4096;

/** Some 0.3 s of one core: more would let a backend keep the proxy computing (CVE-2026-42198). */
const MAX_ITERATIONS = 1_000_000;

const MAX_NONCE_LENGTH = 256;
const MAX_SALT_LENGTH = 256;

/**
 * Parses server-first-message, whose attributes have one order. `m=` would be an extension that must be understood, and
 * what follows `i=` one that may be ignored: PostgreSQL sends neither.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-7
 */
export function parseServerFirst(message: string, clientNonce: string): ServerFirst {
  const attributes = /^r=([\x21-\x2b\x2d-\x7e]+),s=([^,]*),i=([1-9][0-9]{0,15})$/.exec(message);
  if (attributes === null) return mistaken("its SCRAM challenge is malformed");
  const [, nonce, saltText, iterationsText] = attributes;
  if (!nonce.startsWith(clientNonce)) return mistaken("its SCRAM nonce does not begin with ours");
  if (nonce.length === clientNonce.length) return mistaken("its SCRAM nonce adds nothing to ours");
  if (nonce.length > MAX_NONCE_LENGTH) return mistaken("its SCRAM nonce is too long");
  const salt = decodeBase64(saltText);
  if (salt === undefined || salt.length === 0) return mistaken("its SCRAM salt is empty or malformed");
  if (salt.length > MAX_SALT_LENGTH) return mistaken("its SCRAM salt is too long");
  const iterations = Number(iterationsText);
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) {
    return mistaken(`its SCRAM iterations are not within ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`);
  }
  return { ok: true, nonce, salt, iterations };
}

/** Parses server-final-message: the backend's proof, or the reason it gives for refusing ours. */
export function parseServerFinal(message: string): ServerFinal {
  const refused = /^e=([a-z-]{1,64})(,|$)/.exec(message);
  if (refused !== null) return { ok: false, refused: refused[1] };
  const verifier = /^v=([^,]+)$/.exec(message);
  const signature = verifier === null ? undefined : decodeBase64(verifier[1]);
  return signature === undefined
    ? mistaken("its SCRAM signature is missing or malformed")
    : { ok: true, signature };
}

function decodeBase64(text: string): Uint8Array | undefined {
  // Uint8Array.fromBase64 alone would skip white space.
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return undefined;
  }
}

function mistaken(mistake: string): Mistaken {
  return { ok: false, mistake };
}
