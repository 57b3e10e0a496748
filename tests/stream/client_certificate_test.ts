import assert from "node:assert/strict";
import type { PgError } from "../../lib/errors.ts";
import type { TlsDetails } from "../../lib/stream/byte_stream.ts";
import { checkClientCertificate, clientCertificatePolicy } from "../../lib/stream/client_certificate.ts";
import { oddCertificate } from "../support/odd_certificates.ts";

const authority = await oddCertificate({ name: "authority", isAuthority: true });
const other = await oddCertificate({ name: "other", isAuthority: true });
const between = await oddCertificate({ name: "between", isAuthority: true, issuer: authority });

const SHOWN = {
  none: null,
  good: await oddCertificate({ name: "client", issuer: authority }),
  chained: await oddCertificate({ name: "client", issuer: between }),
  "self-signed": await oddCertificate({ name: "client" }),
  expired: await oddCertificate({ name: "client", issuer: authority, notAfter: new Date(Date.now() - 1000) }),
};

type Demand = Parameters<typeof clientCertificatePolicy>[0];

Deno.test.each<[Demand, client_ca: boolean, keyof typeof SHOWN, reason: string | null]>([
  ["none", false, "none", null],
  // Of a TLS session that began when certificates were still asked for.
  ["none", false, "self-signed", null],
  ["request", false, "none", null],
  ["request", false, "good", null],
  ["request", false, "self-signed", null],
  ["request", false, "expired", null],
  ["request", true, "none", null],
  ["request", true, "good", null],
  ["request", true, "chained", null],
  ["request", true, "self-signed", "The client's certificate is of no authority in client_ca"],
  ["request", true, "expired", "The client's certificate has expired"],
  ["require", true, "none", "The client has shown no certificate"],
  ["require", true, "good", null],
  ["require", true, "chained", null],
  ["require", true, "self-signed", "The client's certificate is of no authority in client_ca"],
  ["require", true, "expired", "The client's certificate has expired"],
  // The configuration does not allow this one; it is no way around the requirement all the same.
  ["require", false, "good", "The client's certificate is of no authority in client_ca"],
])(
  "checkClientCertificate() by %s, with client_ca: %s, shown: %s",
  (demand, hasAuthorities, shown, reason) => {
    const authorities = hasAuthorities ? other.pem + "\n" + authority.pem : undefined;
    const policy = clientCertificatePolicy(demand, authorities);
    const check = () => checkClientCertificate(detailsOf(shown), { policy, nowMs: Date.now() });
    if (reason === null) return check();
    assert.throws(check, (error: PgError) => {
      assert.equal(error.sqlstate, "28000");
      assert.equal(error.message, "connection requires a valid client certificate");
      assert.equal(error.reason, reason);
      return true;
    });
  },
);

function detailsOf(shown: keyof typeof SHOWN): TlsDetails {
  return {
    version: "TLSv1.3",
    cipher: "TLS_AES_256_GCM_SHA384",
    serverName: null,
    alpn: null,
    peerCertificate: SHOWN[shown]?.der ?? null,
    peerIntermediates: shown === "chained" ? [between.der] : [],
  };
}
