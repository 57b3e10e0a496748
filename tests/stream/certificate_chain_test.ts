import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type ChainOptions, mistrustOf } from "../../lib/stream/certificate_chain.ts";
import {
  type OddCertificate,
  oddCertificate,
  oddExtension,
  type OddRequest,
} from "../support/odd_certificates.ts";

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const ANY_USAGE = "2.5.29.37.0";
const DAY_MS = 86_400_000;

const root = await oddCertificate({ name: "root", isAuthority: true });
const stranger = await oddCertificate({ name: "stranger", isAuthority: true });
/** Of the same name as the root, with another key. */
const impostor = await oddCertificate({ name: "root", isAuthority: true });

const expired = { notBefore: days(-3), notAfter: days(-1) };

const EXPIRED = "The client's certificate has expired";
const NOT_YET = "The client's certificate is not valid yet";
const NOT_FOR_CLIENTS = "The client's certificate is not one for clients";
const UNKNOWN_CRITICAL = "The client's certificate has a critical extension that is not understood here";
const NO_AUTHORITY = "The client's certificate is of no authority in client_ca";

Deno.test.each<[string, Partial<OddRequest>, string | null]>([
  ["of the authority", {}, null],
  ["for clients", { extendedKeyUsage: [CLIENT_AUTH] }, null],
  ["for clients and servers", { extendedKeyUsage: [SERVER_AUTH, CLIENT_AUTH] }, null],
  ["without extensions", { isBare: true }, null],
  ["that is an authority itself", { isAuthority: true }, null],
  ["signed by way of SHA-384", { hash: "SHA-384" }, null],
  ["with an extension that is not critical", { extensions: [oddExtension({ isCritical: false })] }, null],
  ["that has expired", expired, EXPIRED],
  ["of the future", { notBefore: days(1), notAfter: days(2) }, NOT_YET],
  ["for servers", { extendedKeyUsage: [SERVER_AUTH] }, NOT_FOR_CLIENTS],
  ["for any usage, which is not said to be clients", { extendedKeyUsage: [ANY_USAGE] }, NOT_FOR_CLIENTS],
  ["with an unknown critical extension", { extensions: [oddExtension()] }, UNKNOWN_CRITICAL],
  ["of an unknown authority", { issuer: stranger }, NO_AUTHORITY],
  ["of another authority of the same name", { issuer: impostor }, NO_AUTHORITY],
  ["that it has signed itself", { issuer: undefined }, NO_AUTHORITY],
  ["that it has signed itself, by the authority's name", { name: "root", issuer: undefined }, NO_AUTHORITY],
  ["signed by way of SHA-1", { hash: "SHA-1" }, NO_AUTHORITY],
])("mistrustOf() a certificate %s", async (_name, request, mistrust) => {
  const leaf = await oddCertificate({ name: "client", issuer: root, ...request });
  assert.equal(mistrustBy([root], leaf), mistrust);
});

Deno.test.each<[string, Partial<OddRequest>, string | null]>([
  ["as it should be", {}, null],
  ["for clients", { extendedKeyUsage: [CLIENT_AUTH] }, null],
  ["that allows no authorities below it", { pathLength: 0 }, null],
  ["that has expired", expired, NO_AUTHORITY],
  ["of the future", { notBefore: days(1), notAfter: days(2) }, NO_AUTHORITY],
  ["that is no authority", { isAuthority: false }, NO_AUTHORITY],
  ["without extensions", { isBare: true }, NO_AUTHORITY],
  // digitalSignature alone
  ["that may not sign certificates", { keyUsage: 1 }, NO_AUTHORITY],
  ["for servers alone", { extendedKeyUsage: [SERVER_AUTH] }, NO_AUTHORITY],
  ["with name constraints", { extensions: [oddExtension()] }, NO_AUTHORITY],
  ["of an unknown authority", { issuer: stranger }, NO_AUTHORITY],
  ["signed by way of SHA-1", { hash: "SHA-1" }, NO_AUTHORITY],
])("mistrustOf() a certificate by way of an intermediate %s", async (_name, request, mistrust) => {
  const between = await oddCertificate({ name: "between", isAuthority: true, issuer: root, ...request });
  const leaf = await oddCertificate({ name: "client", issuer: between });
  assert.equal(mistrustBy([root], leaf, [between]), mistrust);
});

Deno.test.each<[string, Partial<OddRequest>, string | null]>([
  ["that has expired", expired, NO_AUTHORITY],
  ["that is no authority", { isAuthority: false }, NO_AUTHORITY],
  // It is trusted because it is configured; what it says of its own usage is its own affair.
  ["for servers alone", { extendedKeyUsage: [SERVER_AUTH] }, null],
])("mistrustOf() a certificate of a configured authority %s", async (_name, request, mistrust) => {
  const authority = await oddCertificate({ name: "authority", isAuthority: true, ...request });
  const leaf = await oddCertificate({ name: "client", issuer: authority });
  assert.equal(mistrustBy([authority], leaf), mistrust);
});

Deno.test("mistrustOf() takes a certificate that is configured itself, until it expires", async () => {
  const pinned = await oddCertificate({ name: "client" });
  assert.equal(mistrustBy([root, pinned], pinned), null);
  assert.equal(mistrustBy([root, pinned], pinned, [], days(2).getTime()), EXPIRED);
});

Deno.test("mistrustOf() does not take what a configured certificate has signed that is no authority", async () => {
  const pinned = await oddCertificate({ name: "client" });
  const leaf = await oddCertificate({ name: "a friend of the client", issuer: pinned });
  assert.equal(mistrustBy([pinned], leaf), NO_AUTHORITY);
});

Deno.test("mistrustOf() does not take what a client's certificate has signed", async () => {
  const client = await oddCertificate({ name: "client", issuer: root });
  const leaf = await oddCertificate({ name: "a friend of the client", issuer: client });
  assert.equal(mistrustBy([root], leaf, [client]), NO_AUTHORITY);
});

Deno.test("mistrustOf() wants the intermediates, in any order, with strangers among them", async () => {
  const one = await oddCertificate({ name: "one", isAuthority: true, issuer: root });
  const two = await oddCertificate({ name: "two", isAuthority: true, issuer: one });
  const leaf = await oddCertificate({ name: "client", issuer: two });
  for (const sent of [[one, two], [two, one], [stranger, two, root, one, impostor]]) {
    assert.equal(mistrustBy([root], leaf, sent), null);
  }
  for (const sent of [[], [one], [two], [two, stranger]]) {
    assert.equal(mistrustBy([root], leaf, sent), NO_AUTHORITY);
  }
});

Deno.test.each<[pathLength: number, intermediates: number, mistrust: string | null]>([
  [0, 0, null],
  [0, 1, NO_AUTHORITY],
  [1, 1, null],
  [1, 2, NO_AUTHORITY],
  [2, 2, null],
])(
  "mistrustOf() below an authority of path length %i, %i intermediates",
  async (pathLength, count, mistrust) => {
    const authority = await oddCertificate({ name: "authority", isAuthority: true, pathLength });
    const between: OddCertificate[] = [];
    for (let index = 0; index < count; index++) {
      const issuer = between.at(-1) ?? authority;
      between.push(await oddCertificate({ name: `between ${index}`, isAuthority: true, issuer }));
    }
    const leaf = await oddCertificate({ name: "client", issuer: between.at(-1) ?? authority });
    assert.equal(mistrustBy([authority], leaf, between), mistrust);
  },
);

Deno.test("mistrustOf() ends soon where intermediates have signed one another", async () => {
  const { keys } = await oddCertificate({ name: "shared", isAuthority: true });
  const circle = await Promise.all(
    Array.from({ length: 8 }, () => oddCertificate({ name: "shared", isAuthority: true, keys })),
  );
  const leaf = await oddCertificate({ name: "client", issuer: circle[0] });
  const startMs = performance.now();
  assert.equal(mistrustBy([root], leaf, circle), NO_AUTHORITY);
  assert.ok(performance.now() - startMs < 1000);
});

Deno.test("mistrustOf() checks few signatures, however many certificates have one name", async () => {
  const chain = [await oddCertificate({ name: "root", isAuthority: true })];
  for (let count = 0; count < 8; count++) {
    chain.unshift(await oddCertificate({ name: "root", isAuthority: true, issuer: chain[0] }));
  }
  const [leaf, ...sent] = chain;
  const { verify } = X509Certificate.prototype;
  let checks = 0;
  X509Certificate.prototype.verify = function (key) {
    checks++;
    return verify.call(this, key);
  };
  try {
    assert.equal(mistrustBy([root], leaf, sent.toReversed()), NO_AUTHORITY);
  } finally {
    X509Certificate.prototype.verify = verify;
  }
  assert.ok(checks > 0 && checks <= 10, `there were ${checks}`);
});

Deno.test("mistrustOf() follows a chain of eight intermediates", async () => {
  const sent = [root];
  for (let index = 0; index < 8; index++) {
    sent.unshift(await oddCertificate({ name: `between ${index}`, isAuthority: true, issuer: sent[0] }));
  }
  const leaf = await oddCertificate({ name: "client", issuer: sent[0] });
  assert.equal(mistrustBy([root], leaf, sent.slice(0, 8)), null);
});

Deno.test("mistrustOf() looks at eight intermediates and no more", async () => {
  const leaf = await oddCertificate({ name: "client", issuer: root });
  assert.equal(mistrustBy([root], leaf, Array(8).fill(stranger)), null);
  const says = "The client has sent more than 8 intermediate certificates";
  assert.equal(mistrustBy([root], leaf, Array(9).fill(stranger)), says);
});

Deno.test("mistrustOf() no authority at all takes no certificate", async () => {
  assert.equal(mistrustBy([], await oddCertificate({ name: "client", issuer: root })), NO_AUTHORITY);
});

Deno.test.each<[string, Uint8Array, Uint8Array[]]>([
  ["a certificate that is none", Uint8Array.of(1, 2, 3), []],
  ["an empty certificate", new Uint8Array(), []],
  ["a certificate cut short", root.der.subarray(0, 100), []],
  ["an intermediate that is none", stranger.der, [Uint8Array.of(0x30, 0x80)]],
])("mistrustOf() %s", (_name, certificate, intermediates) => {
  const says = mistrustOf(certificate, { intermediates, authorities: [], nowMs: Date.now() });
  assert.equal(says, "The client's certificate, or one sent with it, cannot be read");
});

function mistrustBy(
  authorities: OddCertificate[],
  { der }: OddCertificate,
  sent: OddCertificate[] = [],
  nowMs = Date.now(),
): string | null {
  const options: ChainOptions = {
    authorities: authorities.map(({ pem }) => new X509Certificate(pem)),
    intermediates: sent.map((one) => one.der),
    nowMs,
  };
  return mistrustOf(der, options);
}

function days(count: number): Date {
  return new Date(Date.now() + count * DAY_MS);
}
