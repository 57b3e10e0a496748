import "reflect-metadata"; // @peculiar/x509 needs it loaded first
import assert from "node:assert/strict";
import { X509CertificateGenerator } from "@peculiar/x509";
import { exportPKCS8, exportSPKI } from "jose";
import { claims, FakeIssuer, faultOf, settings, sign, signingKey } from "./fake_issuer.ts";

const KEY = await signingKey("ES256", "k1");
const RSA_KEY = await signingKey("RS256");
const ED_KEY = await signingKey("Ed25519");
const EC_PEM = await exportSPKI(KEY.publicKey);
const RSA_PEM = await exportSPKI(RSA_KEY.publicKey);

/** Key files that are only in memory, and a verifier of the paths given. */
function verifierOf(files: Record<string, string>, changes: Record<string, unknown> = {}) {
  const keys = settings({ jwks_url: undefined, signing_keys: Object.keys(files), ...changes });
  return new FakeIssuer().verifier([keys], {
    baseDirectory: "/etc/proxy",
    readTextFile: (path) => {
      const text = files[path.replace("/etc/proxy/", "")];
      return text === undefined ? Promise.reject(new Error("no such file")) : Promise.resolve(text);
    },
    listDirectory: () => Promise.resolve(Object.keys(files).map((name) => name.replace("keys/", ""))),
  });
}

async function certificate(key: typeof KEY): Promise<string> {
  const signer = key.alg === "RS256" ? { name: "RSASSA-PKCS1-v1_5" } : { name: "ECDSA", hash: "SHA-256" };
  const made = await X509CertificateGenerator.createSelfSigned({
    name: "CN=issuer",
    notBefore: new Date("2001-01-01"),
    notAfter: new Date("2002-01-01"),
    keys: { publicKey: key.publicKey, privateKey: key.privateKey },
    signingAlgorithm: signer,
  });
  return made.toString("pem");
}

Deno.test("signing_keys: a public key verifies, whatever the kid", async () => {
  await using verifier = await verifierOf({ "a.pem": EC_PEM });
  assert.equal((await verifier.verify(await sign(KEY))).subject, "alice");
  assert.equal((await verifier.verify(await sign(KEY, claims(), { kid: "other" }))).subject, "alice");
  assert.equal((await verifier.verify(await sign(KEY, claims(), { kid: undefined }))).subject, "alice");
});

Deno.test("signing_keys: another key is refused and nothing is fetched", async () => {
  const issuer = new FakeIssuer();
  const keys = settings({ jwks_url: undefined, signing_keys: ["a.pem"] });
  await using verifier = await issuer.verifier([keys], { readTextFile: () => Promise.resolve(EC_PEM) });
  assert.equal(await faultOf(verifier, await sign(await signingKey("ES256", "k1"))), "signature");
  assert.equal(await faultOf(verifier, await sign(RSA_KEY)), "algorithm");
  await verifier.refresh();
  assert.deepEqual(await verifier.probe(), []);
  assert.deepEqual(issuer.requests, []);
});

Deno.test("signing_keys: many keys in one file and many files", async () => {
  const algorithms = ["ES256", "RS256", "Ed25519"];
  const files = { "a.pem": `# two keys\n${EC_PEM}\n${RSA_PEM}`, "b.pem": await exportSPKI(ED_KEY.publicKey) };
  await using verifier = await verifierOf(files, { algorithms });
  for (const key of [KEY, RSA_KEY, ED_KEY]) {
    assert.equal((await verifier.verify(await sign(key))).subject, "alice");
  }
});

Deno.test("signing_keys: certificates are envelopes of their keys, expired or not", async () => {
  await using verifier = await verifierOf({
    "a.pem": await certificate(KEY) + "\n" + await certificate(RSA_KEY),
  });
  assert.equal((await verifier.verify(await sign(KEY))).subject, "alice");
  assert.equal((await verifier.verify(await sign(RSA_KEY))).subject, "alice");
});

Deno.test("signing_keys: a glob takes the matching files of a directory of the disk", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/a.pem`, EC_PEM);
    await Deno.writeTextFile(`${directory}/b.pem`, RSA_PEM);
    await Deno.writeTextFile(`${directory}/.hidden.pem`, "not a key");
    await Deno.writeTextFile(`${directory}/notes.txt`, "not a key");
    await Deno.mkdir(`${directory}/c.pem`);
    const keys = settings({ jwks_url: undefined, signing_keys: ["*.pem"] });
    await using verifier = await new FakeIssuer().verifier([keys], { baseDirectory: directory });
    assert.equal((await verifier.verify(await sign(KEY))).subject, "alice");
    assert.equal((await verifier.verify(await sign(RSA_KEY))).subject, "alice");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

const PRIVATE_PEM = await exportPKCS8(KEY.privateKey);
const BROKEN_PEM = EC_PEM.replace(/\n.{8}/, "\nAAAAAAAA");
const ES384_PEM = await exportSPKI((await signingKey("ES384")).publicKey);

Deno.test.each(
  [
    [
      "a file that is not there",
      ["missing.pem"],
      {},
      /^Key file \/etc\/proxy\/missing.pem cannot be read: no such file$/,
    ],
    ["text", ["a.pem"], { "a.pem": "hello" }, /^Key file \/etc\/proxy\/a.pem is not PEM; /],
    ["an empty file", ["a.pem"], { "a.pem": "" }, /is not PEM/],
    ["a cut file", ["a.pem"], { "a.pem": EC_PEM + EC_PEM.slice(0, 90) }, /is not PEM/],
    ["a private key", ["a.pem"], { "a.pem": PRIVATE_PEM }, /holds a private key; give only the public key/],
    [
      "a private key behind a public one",
      ["a.pem"],
      { "a.pem": EC_PEM + PRIVATE_PEM },
      /holds a private key/,
    ],
    [
      "broken DER",
      ["a.pem"],
      { "a.pem": BROKEN_PEM },
      /holds a PUBLIC KEY that cannot be read; give RSA of 2048/,
    ],
    [
      "another PEM",
      ["a.pem"],
      { "a.pem": EC_PEM.replaceAll("PUBLIC KEY", "X509 CRL") },
      /holds a X509 CRL; give PUBLIC KEY/,
    ],
    [
      "a key of no use",
      ["a.pem"],
      { "a.pem": ES384_PEM },
      /a key in it fits none of the issuer's algorithms \(ES256, RS256\)$/,
    ],
    [
      "a glob without files",
      ["keys/*.crt"],
      { "keys/a.pem": EC_PEM },
      /^Key files keys\/\*.crt match no file; correct the path$/,
    ],
    ["a glob of directories", ["*/a.pem"], { "keys/a.pem": EC_PEM }, /\* and \? are for the file name only$/],
    ["17 keys of one algorithm", ["a.pem"], { "a.pem": EC_PEM.repeat(17) }, /more than 16 keys for ES256; /],
  ] as const,
)("signing_keys: %s is told in one sentence", async (_name, signing_keys, files, message) => {
  await assert.rejects(
    verifierOf(files, { signing_keys }),
    (error: Error & { problems?: { message: string }[] }) => {
      assert.equal(error.name, "IssuersMisconfigured");
      assert.equal(error.problems?.length, 1);
      assert.match(error.problems[0].message, message);
      return true;
    },
  );
});

Deno.test("T17 signing_keys: the error of a bad file does not quote it", async () => {
  await assert.rejects(verifierOf({ "a.pem": PRIVATE_PEM }), (error) => {
    return !Deno.inspect(error).includes(PRIVATE_PEM.split("\n")[1]);
  });
});
