import { DER, type DerElement, derElements } from "../der.ts";

/** What the extensions of a certificate restrict it to. */
export interface CertificateExtensions {
  /** `pathLenConstraint`: how many authorities may stand below this one; undefined: any number. */
  readonly pathLength?: number;
  /** Its extended key usages, as object identifiers in dotted form; undefined: it says nothing of them. */
  readonly extendedKeyUsage?: readonly string[];
  /** There is a critical extension that is not understood here: whoever obeys it must refuse the certificate. */
  readonly hasUnknownCritical: boolean;
}

/** Object identifiers as the content of their DER, in hexadecimal. */
const BASIC_CONSTRAINTS = "551d13"; // 2.5.29.19
const EXTENDED_KEY_USAGE = "551d25"; // 2.5.29.37

/**
 * Critical ones that may be there: the two above are read here, the key usage by `node:crypto`, and the names are not used.
 * Name constraints (2.5.29.30) and policy constraints (2.5.29.36) are not among them.
 */
const UNDERSTOOD = [
  BASIC_CONSTRAINTS,
  EXTENDED_KEY_USAGE,
  "551d0f", // key usage, 2.5.29.15
  "551d11", // subject alternative name, 2.5.29.17
];

const EXTENSIONS = 0xa3; // [3] of TBSCertificate

/**
 * The extensions of a certificate in DER, which `node:crypto` does not show: what Deno 2.9 calls `keyUsage` is another
 * extension than Node.js shows by that name.
 *
 * @see RFC 5280 section 4.2
 */
export function readExtensions(certificate: Uint8Array): CertificateExtensions {
  const extensions = extensionsOf(certificate);
  const valueOf = (identifier: string) => extensions.find((one) => one.identifier === identifier)?.value;
  return {
    pathLength: pathLength(valueOf(BASIC_CONSTRAINTS)),
    extendedKeyUsage: identifiers(valueOf(EXTENDED_KEY_USAGE)),
    hasUnknownCritical: extensions.some(({ isCritical, identifier }) =>
      isCritical && !UNDERSTOOD.includes(identifier)
    ),
  };
}

interface Extension {
  readonly identifier: string;
  readonly isCritical: boolean;
  readonly value: Uint8Array;
}

/** Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING } */
function extensionsOf(certificate: Uint8Array): Extension[] {
  const [whole] = derElements(certificate);
  const [signed] = derElements(whole?.content);
  const field = derElements(signed?.content).find(({ tag }) => tag === EXTENSIONS);
  const [list] = derElements(field?.content);
  return derElements(list?.content).map(({ content }) => {
    const parts = derElements(content);
    const part = (tag: number) => parts.find((one) => one.tag === tag)?.content ?? new Uint8Array();
    return {
      identifier: part(DER.objectIdentifier).toHex(),
      isCritical: part(DER.boolean).some((byte) => byte !== 0),
      value: part(DER.octetString),
    };
  });
}

/** BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL } */
function pathLength(value: Uint8Array | undefined): number | undefined {
  const [constraints] = derElements(value);
  const length = derElements(constraints?.content).find(({ tag }) => tag === DER.integer);
  return length?.content.reduce((sum, byte) => sum * 256 + byte, 0);
}

/** ExtKeyUsageSyntax ::= SEQUENCE OF OBJECT IDENTIFIER */
function identifiers(value: Uint8Array | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const [list] = derElements(value);
  return derElements(list?.content).map(dotted);
}

/** The first two numbers share a byte; the others have seven bits of each byte, the last byte below 0x80. */
function dotted({ content }: DerElement): string {
  const numbers = [Math.floor(content[0] / 40), content[0] % 40];
  let number = 0;
  for (const byte of content.subarray(1)) {
    number = number * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      numbers.push(number);
      number = 0;
    }
  }
  return numbers.join(".");
}
