import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { TlsDetails } from "./byte_stream.ts";

/** What TLS settled on over a socket whose handshake is over. */
export function tlsDetails(socket: TLSSocket): TlsDetails {
  return {
    version: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher()?.name ?? "unknown",
    serverName: (socket as { servername?: string | false | null }).servername || null,
    alpn: socket.alpnProtocol || null,
    peerCertificate: peerCertificate(socket),
    // Only when asked for: Deno 2.9.6 takes the certificate apart for it, and on our side of a backend's TLS every authority.
    get peerIntermediates() {
      return peerCertificates(socket).slice(1);
    },
  };
}

function peerCertificate(socket: TLSSocket): Uint8Array | null {
  try {
    const certificate = socket.getPeerX509Certificate();
    return certificate === undefined ? null : new Uint8Array(certificate.raw);
  } catch {
    // It looks at the second one too, which may be anything.
    return peerCertificates(socket)[0] ?? null;
  }
}

/** What the peer has sent, in its order. */
function peerCertificates(socket: TLSSocket): Uint8Array[] {
  try {
    return chainOf(socket.getPeerCertificate(true));
  } catch {
    // TLS has read the first of them alone; the others may be anything.
    const { raw } = socket.getPeerCertificate(false);
    return raw === undefined ? [] : [new Uint8Array(raw)];
  }
}

/** Each `issuerCertificate` is the one sent next, whoever has issued it. */
function chainOf(first: Partial<DetailedPeerCertificate> | null): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let one = first; one?.raw !== undefined;) {
    found.push(new Uint8Array(one.raw));
    const next: DetailedPeerCertificate | undefined = one.issuerCertificate;
    // One that has signed itself is its own issuer, and the last.
    one = next === one ? null : next ?? null;
  }
  return found;
}
