import assert from "node:assert/strict";
import { certificatesIn, hasPassphrase } from "../lib/pem.ts";

const block = (label: string, body: string) => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----`;
const LEAF = block("CERTIFICATE", "bGVhZg==");
const AUTHORITY = block("CERTIFICATE", "YXV0aG9yaXR5");
const KEY = block("PRIVATE KEY", "a2V5");

Deno.test.each<[string, string, string[]]>([
  ["a chain", `${LEAF}\n${AUTHORITY}\n`, [LEAF, AUTHORITY]],
  ["a chain with words in between, and a key", `the leaf\r\n${LEAF}\n${KEY}\nits authority\n${AUTHORITY}`, [
    LEAF,
    AUTHORITY,
  ]],
  ["a key", KEY, []],
  ["a certificate that is cut off", LEAF.slice(0, -1), []],
  ["nothing", "", []],
])("certificatesIn() finds those of %s", (_what, pem, certificates) => {
  assert.deepEqual([...certificatesIn(pem)], certificates);
});

Deno.test.each<[string, string, boolean]>([
  ["an encrypted key of PKCS #8", block("ENCRYPTED PRIVATE KEY", "a2V5"), true],
  [
    "an encrypted key of OpenSSL's older form",
    block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\na2V5"),
    true,
  ],
  ["a key", KEY, false],
])("hasPassphrase() of %s", (_what, pem, expected) => {
  assert.equal(hasPassphrase(pem), expected);
});
