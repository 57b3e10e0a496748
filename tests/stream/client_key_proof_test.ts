import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { acceptTlsOver } from "../../lib/stream/accept_tls.ts";
import { createServerCertificate } from "../../lib/stream/server_certificate.ts";
import { ALERT, BareHandshake, type Proof } from "../support/bare_handshake.ts";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { socketPair } from "./sockets.ts";

const authority = await createAuthority("key proof");
const server = await authority.issueForLoopback();
const alice = await authority.issue({ commonName: "alice", usage: "client" });
const mallory = await authority.issue({ commonName: "mallory", usage: "client" });

// That a client has the key of what it shows is all that a binding rests on, and it rests on the runtime.
Deno.test.each<[string, Proof, alert: number]>([
  // Noise for a Finished is as far as this client can go: its certificate was taken.
  [
    "with its own certificate and key",
    { certificates: [der(alice)], keyPem: alice.keyPem },
    ALERT.badRecordMac,
  ],
  [
    "with another's certificate and its own key",
    { certificates: [der(alice)], keyPem: mallory.keyPem },
    ALERT.decryptError,
  ],
  [
    "with its own certificate behind another's",
    { certificates: [der(alice), der(mallory)], keyPem: mallory.keyPem },
    ALERT.decryptError,
  ],
  ["with another's certificate and no proof at all", { certificates: [der(alice)] }, ALERT.unexpectedMessage],
  ["without a certificate", { certificates: [] }, ALERT.badRecordMac],
])("T15 acceptTlsOver() hears out a client %s", async (_name, proof, alert) => {
  using plain = await socketPair();
  const accepting = acceptTlsOver(plain.server, {
    certificate: createServerCertificate({
      certificatePem: server.certificatePem,
      privateKeyPem: server.keyPem,
      minimumTlsVersion: "TLSv1.2",
    }),
    asksForCertificate: true,
    signal: AbortSignal.timeout(5000),
  });
  const refused = assert.rejects(accepting, { sqlstate: "08P01", message: "TLS handshake failed" });
  await using connection = new RawConnection(plain.client.handOver());
  connection.resume();
  const { handshake, isAsked } = await BareHandshake.begin(connection);
  assert.equal(isAsked, true);
  assert.equal(await handshake.prove(proof), alert);
  await refused;
});

function der({ certificatePem }: IssuedCertificate): Uint8Array {
  return new Uint8Array(new X509Certificate(certificatePem).raw);
}
