import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { checkBinding } from "../../lib/token/binding.ts";
import { parseStrictJsonObject } from "../../lib/token/strict_json.ts";
import { TokenRefused } from "../../lib/token/refused_token.ts";
import type { VerifiedToken } from "../../lib/token/verified_token.ts";
import { claims, issuerWith, settings, sign, signingKey } from "./fake_issuer.ts";

// RFC 8705 appendix A: a client's certificate and the thumbprint that a token bound to it carries.
const RFC_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----`;
const RFC_THUMBPRINT = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

const CERTIFICATE = Uint8Array.of(0x30, 1, 2, 3);
const OTHER = Uint8Array.of(0x30, 1, 2, 4);
const KEY = await signingKey("ES256", "k1");

Deno.test("T15 checkBinding() takes the token and the certificate of RFC 8705", () => {
  const certificate = new X509Certificate(RFC_CERTIFICATE).raw;
  assert.equal(thumbprint(certificate), RFC_THUMBPRINT);
  checkBinding(tokenWith({ "x5t#S256": RFC_THUMBPRINT }), { settings: settings(), certificate });
});

Deno.test.each<[string, unknown, Uint8Array | null]>([
  ["bound to its certificate", { "x5t#S256": thumbprint(CERTIFICATE) }, CERTIFICATE],
  ["bound to nothing, with a certificate", undefined, CERTIFICATE],
  ["bound to nothing, with none", undefined, null],
])("checkBinding() takes a token %s", (_name, cnf, certificate) => {
  checkBinding(tokenWith(cnf), { settings: settings(), certificate });
});

const NONE_SHOWN = "The token is bound to a certificate, and the client has shown none";
const ANOTHER = "The token is bound to another certificate than the client's";
const NOT_TO_A_CERTIFICATE = "The token is bound by cnf to something other than a certificate";
const NOT_A_THUMBPRINT = "The token's x5t#S256 is not a SHA-256 in base64url";
const NOT_AN_OBJECT = "The token's cnf is not an object";

const right = thumbprint(CERTIFICATE);
const x5t = (value: unknown) => ({ "x5t#S256": value });

Deno.test.each<[string, unknown, Uint8Array | null, string]>([
  ["presented with no certificate", x5t(right), null, NONE_SHOWN],
  ["presented with another certificate", x5t(right), OTHER, ANOTHER],
  ["presented with an empty certificate", x5t(right), new Uint8Array(), ANOTHER],
  ["bound to a DPoP key", { jkt: right }, CERTIFICATE, NOT_TO_A_CERTIFICATE],
  ["bound to a DPoP key, with no certificate", { jkt: right }, null, NOT_TO_A_CERTIFICATE],
  ["bound to a certificate and a DPoP key", { ...x5t(right), jkt: right }, CERTIFICATE, NOT_TO_A_CERTIFICATE],
  ["bound to a key of its own", { jwk: { kty: "EC" } }, CERTIFICATE, NOT_TO_A_CERTIFICATE],
  [
    "bound to a certificate and something unknown",
    { ...x5t(right), x: 1 },
    CERTIFICATE,
    NOT_TO_A_CERTIFICATE,
  ],
  ["bound by SHA-1", { x5t: right }, CERTIFICATE, NOT_TO_A_CERTIFICATE],
  ["bound by another spelling", { "x5t#s256": right }, CERTIFICATE, NOT_TO_A_CERTIFICATE],
  ["bound by an empty cnf", {}, CERTIFICATE, NOT_TO_A_CERTIFICATE],
  [
    "with a prototype's name",
    JSON.parse(`{"__proto__":{"x5t#S256":"${right}"}}`),
    CERTIFICATE,
    NOT_TO_A_CERTIFICATE,
  ],
  ["with cnf null", null, CERTIFICATE, NOT_AN_OBJECT],
  ["with cnf the thumbprint itself", right, CERTIFICATE, NOT_AN_OBJECT],
  ["with cnf false", false, CERTIFICATE, NOT_AN_OBJECT],
  ["with cnf an array", [x5t(right)], CERTIFICATE, NOT_AN_OBJECT],
  ["with a thumbprint in an array", x5t([right]), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with a thumbprint that is a number", x5t(1), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with a thumbprint that is null", x5t(null), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with an empty thumbprint", x5t(""), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with a thumbprint in hexadecimal", x5t(hex(CERTIFICATE)), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with a padded thumbprint", x5t(`${right}=`), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with a thumbprint and a newline", x5t(`${right}\n`), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with a thumbprint in plain base64", x5t(`+/${right.slice(2)}`), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with half a thumbprint", x5t(right.slice(0, 22)), CERTIFICATE, NOT_A_THUMBPRINT],
  ["with a thumbprint of the right bytes, in other letters", x5t(otherSpelling(right)), CERTIFICATE, ANOTHER],
])("T15 checkBinding() refuses a token %s", (_name, cnf, certificate, reason) => {
  assert.deepEqual(refusal(cnf, certificate), { fault: "bound", reason });
});

Deno.test("T15 checkBinding() takes no certificate but the one of the thumbprint", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (one, two) => {
    const isSame = Buffer.from(one).equals(two);
    assert.equal(refusal(x5t(thumbprint(one)), two)?.reason, isSame ? undefined : ANOTHER);
  }));
});

Deno.test.each<[string, unknown, Uint8Array | null, string | undefined]>([
  ["an unbound token", undefined, CERTIFICATE, "unbound"],
  ["an unbound token without certificate", undefined, null, "unbound"],
  ["a bound token with its certificate", x5t(right), CERTIFICATE, undefined],
  ["a bound token with another", x5t(right), OTHER, "bound"],
  ["a token bound to a DPoP key", { jkt: right }, CERTIFICATE, "bound"],
])("T15 checkBinding() by require_binding: %s", (_name, cnf, certificate, fault) => {
  assert.equal(refusal(cnf, certificate, { require_binding: true })?.fault, fault);
});

Deno.test("T15 checkBinding() is not misled by a cnf of the prototype", () => {
  const token = { ...tokenWith(undefined), claims: Object.create({ cnf: x5t(right) }) };
  assert.throws(
    () => checkBinding(token, { settings: settings({ require_binding: true }), certificate: CERTIFICATE }),
    { fault: "unbound" },
  );
});

Deno.test("T15 verify() holds a token it remembers against the certificate of each presentation", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier();
  const token = await sign(KEY, claims({ cnf: x5t(right) }));
  const present = (clientCertificate?: Uint8Array | null) => verifier.verify(token, { clientCertificate });
  for (const _again of [1, 2]) {
    await assert.rejects(present(), { fault: "bound", message: NONE_SHOWN });
    await assert.rejects(present(null), { fault: "bound", message: NONE_SHOWN });
    await assert.rejects(present(OTHER), { fault: "bound", message: ANOTHER });
    assert.equal((await present(CERTIFICATE)).subject, "alice");
  }
  // One fetch of the keys says that the signature was looked at once, and remembered.
  assert.equal(issuer.requests.length, 1);
});

Deno.test("T15 verify() refuses a token without binding where require_binding asks for one", async () => {
  const issuer = issuerWith(KEY);
  await using verifier = await issuer.verifier([settings({ require_binding: true })]);
  const token = await sign(KEY);
  await assert.rejects(verifier.verify(token, { clientCertificate: CERTIFICATE }), { fault: "unbound" });
});

Deno.test("T14 T15 a binding that is there twice is none", () => {
  const twice = `{"cnf":{"jkt":"x"},"cnf":{"x5t#S256":"${right}"}}`;
  assert.throws(() => parseStrictJsonObject(new TextEncoder().encode(twice)));
  const within = `{"cnf":{"x5t#S256":"${thumbprint(OTHER)}","x5t#S256":"${right}"}}`;
  assert.throws(() => parseStrictJsonObject(new TextEncoder().encode(within)));
});

function refusal(
  cnf: unknown,
  certificate: Uint8Array | null,
  changes: Record<string, unknown> = {},
): { fault: string; reason: string } | undefined {
  try {
    checkBinding(tokenWith(cnf), { settings: settings(changes), certificate });
    return undefined;
  } catch (error) {
    assert.ok(error instanceof TokenRefused);
    return { fault: error.fault, reason: error.message };
  }
}

function tokenWith(cnf: unknown): VerifiedToken {
  return {
    issuer: "corp",
    claims: claims(cnf === undefined ? {} : { cnf }),
    expiresAtMs: 0,
    requireEmailVerified: true,
  };
}

function thumbprint(certificate: Uint8Array): string {
  return createHash("sha256").update(certificate).digest("base64url");
}

function hex(certificate: Uint8Array): string {
  return createHash("sha256").update(certificate).digest("hex");
}

/** The last letter stands for four bits and two that do not count: lenient decoders take four spellings of it. */
function otherSpelling(thumbprint: string): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return thumbprint.slice(0, -1) + letters[letters.indexOf(thumbprint.at(-1)!) ^ 1];
}
