import { createHash } from "node:crypto";
import { DER, type DerElement, derElements } from "../der.ts";

/** Hashes by the object identifier of the signature algorithm, as its DER content in hexadecimal. */
const HASH_OF_SIGNATURE: Readonly<Record<string, string>> = {
  "2a864886f70d010104": "md5", // md5WithRSAEncryption, 1.2.840.113549.1.1.4
  "2a864886f70d010105": "sha1", // sha1WithRSAEncryption, .5
  "2a864886f70d01010b": "sha256", // sha256WithRSAEncryption, .11
  "2a864886f70d01010c": "sha384", // sha384WithRSAEncryption, .12
  "2a864886f70d01010d": "sha512", // sha512WithRSAEncryption, .13
  "2a864886f70d01010e": "sha224", // sha224WithRSAEncryption, .14
  "2a8648ce3d0401": "sha1", // ecdsa-with-SHA1, 1.2.840.10045.4.1
  "2a8648ce3d040301": "sha224", // ecdsa-with-SHA224, 1.2.840.10045.4.3.1
  "2a8648ce3d040302": "sha256", // ecdsa-with-SHA256, .2
  "2a8648ce3d040303": "sha384", // ecdsa-with-SHA384, .3
  "2a8648ce3d040304": "sha512", // ecdsa-with-SHA512, .4
};

const RSASSA_PSS = "2a864886f70d01010a"; // 1.2.840.113549.1.1.10, which names its hash in its parameters

/** The same for a hash that is named alone. */
const HASHES: Readonly<Record<string, string>> = {
  "2b0e03021a": "sha1", // 1.3.14.3.2.26
  "608648016503040201": "sha256", // 2.16.840.1.101.3.4.2.1
  "608648016503040202": "sha384", // .2
  "608648016503040203": "sha512", // .3
  "608648016503040204": "sha224", // .4
};

const HASH_ALGORITHM_OF_PSS = 0xa0; // [0] of RSASSA-PSS-params

/**
 * The channel binding `tls-server-end-point` of a certificate in DER: its hash, by the hash its own signature uses, with
 * SHA-256 in place of MD5 and SHA-1. Undefined where the signature names none, as Ed25519: such a certificate cannot be
 * bound to.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5929#section-4.1
 */
export function certificateHash(certificate: Uint8Array): Uint8Array | undefined {
  const hash = signatureHash(certificate);
  if (hash === undefined) return undefined;
  const strong = hash === "md5" || hash === "sha1" ? "sha256" : hash;
  return new Uint8Array(createHash(strong).update(certificate).digest());
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm, parameters }, signature } */
function signatureHash(certificate: Uint8Array): string | undefined {
  const [whole] = derElements(certificate);
  const algorithm = derElements(whole?.content)[1];
  if (whole?.tag !== DER.sequence || algorithm?.tag !== DER.sequence) return undefined;
  const [identifier, parameters] = derElements(algorithm.content);
  if (identifier?.tag !== DER.objectIdentifier) return undefined;
  const name = identifier.content.toHex();
  return name === RSASSA_PSS ? hashOfPss(parameters) : HASH_OF_SIGNATURE[name];
}

function hashOfPss(parameters: DerElement | undefined): string | undefined {
  const named = derElements(parameters?.content).find(({ tag }) => tag === HASH_ALGORITHM_OF_PSS);
  if (named === undefined) return "sha1"; // the default of RSASSA-PSS-params
  const [algorithm] = derElements(named.content);
  const [identifier] = derElements(algorithm?.content);
  return identifier === undefined ? undefined : HASHES[identifier.content.toHex()];
}
