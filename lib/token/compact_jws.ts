import { TokenRefused } from "./refused_token.ts";
import { parseStrictJsonObject } from "./strict_json.ts";

/** What is read of a JOSE header; `jwk`, `x5c`, `jku` and `x5u` are a stranger's word and are not looked at (T2). */
export interface JwsHeader {
  readonly alg: string;
  readonly kid?: string;
  readonly typ?: string;
}

/** A token taken apart. Nothing in it can be trusted before its signature is verified. */
export interface CompactJws {
  readonly header: JwsHeader;
  readonly payload: Record<string, unknown>;
}

/** Longest `kid` looked up, in UTF-16 units. */
const MAX_KID_LENGTH = 1024;

const BASE64URL_PART = /^[A-Za-z0-9_-]+$/;

/**
 * Whether a token begins as a signed or encrypted one does: with a JSON object in base64url. Any other is opaque, and
 * only its issuer knows what it says.
 */
export function looksLikeJose(token: string): boolean {
  return /^ey[A-Za-z0-9_-]*\./.test(token);
}

/**
 * Takes a compact JWS apart. Length and shape are decided before anything is decoded, so that 100 kB of dots cost
 * nothing (CVE-2025-30204) and a compressed JWE is never unpacked (CVE-2024-28176).
 *
 * @throws {TokenRefused} not_a_token, too_long, encrypted, malformed, critical, unknown_key
 * @see RFC 7515 section 5.2
 */
export function parseCompactJws(token: string, maxTokenBytes: number): CompactJws {
  if (token.length > maxTokenBytes) {
    throw new TokenRefused("too_long", `The token is longer than ${maxTokenBytes} bytes`);
  }
  const [header, payload, signature] = splitParts(token);
  decodeBase64url(signature, "signature");
  return { header: readHeader(parseObject(header, "header")), payload: parseObject(payload, "payload") };
}

function splitParts(token: string): [header: string, payload: string, signature: string] {
  const parts = token.split(".", 6);
  if (parts.length === 5) {
    throw new TokenRefused("encrypted", "The token has five parts as an encrypted one has");
  }
  if (parts.length !== 3) {
    throw new TokenRefused("not_a_token", "The password does not have the three parts of a token");
  }
  if (!parts.every((part) => BASE64URL_PART.test(part))) {
    throw new TokenRefused("malformed", "A part of the token is empty or not base64url without padding");
  }
  return parts as [string, string, string];
}

/** Refuses stray bits in the last character too: one signature, one spelling. */
function decodeBase64url(part: string, partName: string): Uint8Array {
  const bytes = tryDecodeBase64url(part);
  if (bytes?.toBase64({ alphabet: "base64url", omitPadding: true }) !== part) {
    throw new TokenRefused("malformed", `The ${partName} is not canonical base64url`);
  }
  return bytes;
}

function tryDecodeBase64url(part: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(part, { alphabet: "base64url" });
  } catch {
    return undefined;
  }
}

function parseObject(part: string, partName: string): Record<string, unknown> {
  const bytes = decodeBase64url(part, partName);
  try {
    return parseStrictJsonObject(bytes);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new TokenRefused("malformed", `${error.message}, in the ${partName}`);
    }
    throw error;
  }
}

function readHeader(header: Record<string, unknown>): JwsHeader {
  // No extension is understood here, so every `crit` names one that is not (CVE-2025-59420).
  if (Object.hasOwn(header, "crit")) throw new TokenRefused("critical", "The header has crit");
  const alg = textMember(header, "alg");
  if (alg === undefined) throw new TokenRefused("malformed", "The header has no alg");
  const kid = textMember(header, "kid");
  if (kid !== undefined && kid.length > MAX_KID_LENGTH) {
    throw new TokenRefused("unknown_key", `The header's kid is longer than ${MAX_KID_LENGTH} characters`);
  }
  return { alg, kid, typ: textMember(header, "typ") };
}

function textMember(header: Record<string, unknown>, name: string): string | undefined {
  if (!Object.hasOwn(header, name)) return undefined;
  const value = header[name];
  if (typeof value !== "string") throw new TokenRefused("malformed", `The header's ${name} is not a string`);
  return value;
}
