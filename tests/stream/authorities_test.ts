import assert from "node:assert/strict";
import { atOnce, type Pace } from "../../lib/long_work.ts";
import { Authorities, authoritiesIn } from "../../lib/stream/authorities.ts";
import type { TlsDetails } from "../../lib/stream/byte_stream.ts";
import { certificatesIn } from "../../lib/pem.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";

const trusted = await Promise.all(["A", "B", "C", "D", "E"].map((name) => createAuthority(name)));
const [a, b, c] = trusted;
const BUNDLE = trusted.map(({ certificatePem }) => certificatePem).join("\n");

Deno.test("Authorities asks all of them about a host it does not know", async () => {
  const authorities = new Authorities(BUNDLE, atOnce);
  authorities.accepted("db1", await shownBy(a));
  assert.equal(authorities.pemFor("db2"), BUNDLE);
});

Deno.test("Authorities asks the one about a host whose certificate it has signed", async () => {
  const authorities = new Authorities(BUNDLE, atOnce);
  authorities.accepted("db1", await shownBy(b));
  assert.deepEqual(certificatesIn(authorities.pemFor("db1")), certificatesIn(b.certificatePem));
});

Deno.test("Authorities asks the one that has signed what came with the certificate", async () => {
  const authorities = new Authorities(BUNDLE, atOnce);
  const between = await c.issueAuthority("between");
  authorities.accepted("db1", await shownBy(between, [between]));
  assert.deepEqual(certificatesIn(authorities.pemFor("db1")), certificatesIn(c.certificatePem));
});

Deno.test("Authorities asks each of those of one name", async () => {
  const namesakes = [...trusted, await createAuthority("A")];
  const authorities = new Authorities(
    namesakes.map(({ certificatePem }) => certificatePem).join("\n"),
    atOnce,
  );
  authorities.accepted("db1", await shownBy(a));
  assert.deepEqual(
    certificatesIn(authorities.pemFor("db1")),
    [namesakes[0], namesakes[5]].flatMap(({ certificatePem }) => certificatesIn(certificatePem)),
  );
});

Deno.test("Authorities asks all again about a host that was not found good", async () => {
  const authorities = new Authorities(BUNDLE, atOnce);
  authorities.accepted("db1", await shownBy(a));
  const asked = authorities.pemFor("db1");
  assert.equal(authorities.refused("db1", asked), true);
  assert.equal(authorities.pemFor("db1"), BUNDLE);
  assert.equal(authorities.refused("db1", asked), true, "somebody else was at it at the same time");
  assert.equal(authorities.refused("db1", BUNDLE), false, "all were asked: there is nothing more to try");
});

Deno.test("Authorities asks each of those whose certificates a host shows in turn", async () => {
  const authorities = new Authorities(BUNDLE, atOnce);
  for (const authority of [a, b]) {
    authorities.refused("db1", authorities.pemFor("db1"));
    authorities.accepted("db1", await shownBy(authority));
  }
  assert.deepEqual(
    certificatesIn(authorities.pemFor("db1")),
    [a, b].flatMap(({ certificatePem }) => certificatesIn(certificatePem)),
  );
});

Deno.test("Authorities asks all where they are few", async () => {
  const authorities = new Authorities(a.certificatePem + b.certificatePem);
  authorities.accepted("db1", await shownBy(a));
  assert.equal(authorities.pemFor("db1"), a.certificatePem + b.certificatePem);
  assert.equal(authorities.refused("db1", authorities.pemFor("db1")), false);
});

Deno.test("Authorities lets others have their turn between two of them, and asks all meanwhile", async () => {
  let turns = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const pace: Pace = (work) =>
    promise.then(() => {
      let step = work.next();
      for (; !step.done; step = work.next()) turns++;
      return step.value;
    });
  const authorities = new Authorities(BUNDLE, pace);
  authorities.accepted("db1", await shownBy(a));
  authorities.accepted("db2", await shownBy(b));
  assert.equal(authorities.pemFor("db1"), BUNDLE);
  resolve();
  await new Promise((settled) => setTimeout(settled, 0));
  assert.equal(turns, 5, "each is read once");
  assert.deepEqual(certificatesIn(authorities.pemFor("db1")), certificatesIn(a.certificatePem));
  assert.deepEqual(certificatesIn(authorities.pemFor("db2")), certificatesIn(b.certificatePem));
});

Deno.test("Authorities asks all about a host whose authority has a name that Deno cannot read", async () => {
  const odd = inTeletexString((await createAuthority("odd")).certificatePem);
  const authorities = new Authorities(`${BUNDLE}\n${odd}`, atOnce);
  authorities.accepted("db1", { ...await shownBy(a), peerCertificate: derOf(odd) });
  assert.equal(authorities.pemFor("db1"), `${BUNDLE}\n${odd}`);
  authorities.accepted("db2", await shownBy(a));
  assert.deepEqual(certificatesIn(authorities.pemFor("db2")), certificatesIn(a.certificatePem));
});

Deno.test("authoritiesIn() knows those of the same file again, of as many as are used", () => {
  const files = Array.from({ length: 17 }, (_, index) => `${BUNDLE}${"\n".repeat(index)}`);
  const [first, second] = files.map((pem) => [pem, authoritiesIn(pem)] as const);
  authoritiesIn(second[0]);
  assert.equal(authoritiesIn(second[0]), second[1]);
  assert.notEqual(authoritiesIn(first[0]), first[1]);
});

Deno.test("authoritiesIn() does not forget many because of those that are few", () => {
  const known = authoritiesIn(BUNDLE);
  for (let file = 0; file < 17; file++) authoritiesIn(a.certificatePem + "\n".repeat(file));
  assert.equal(authoritiesIn(BUNDLE), known);
});

/** What TLS tells of a host with a certificate of this authority, and with these behind it. */
async function shownBy(authority: Authority, behind: readonly Authority[] = []): Promise<TlsDetails> {
  const { certificatePem } = await authority.issueForLoopback();
  return {
    version: "TLSv1.3",
    cipher: "TLS_AES_256_GCM_SHA384",
    serverName: null,
    alpn: null,
    peerCertificate: derOf(certificatePem),
    peerIntermediates: behind.map(({ certificatePem }) => derOf(certificatePem)),
  };
}

function derOf(pem: string): Uint8Array {
  return Uint8Array.fromBase64(certificatesIn(pem)[0].replaceAll(/-----[A-Z ]+-----|\s/g, ""));
}

/** The certificate with names that begin with an Ü, in TeletexString as old authorities have them. */
function inTeletexString(pem: string): string {
  const der = derOf(pem);
  for (let at = 0; at + 5 < der.length; at++) {
    const isCommonName = der[at] === 0x55 && der[at + 1] === 0x04 && der[at + 2] === 0x03;
    if (isCommonName) der.set([0x14, der[at + 4], 0xdc], at + 3);
  }
  return `-----BEGIN CERTIFICATE-----\n${der.toBase64()}\n-----END CERTIFICATE-----\n`;
}
