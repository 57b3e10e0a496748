import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import type { TlsDetails } from "./byte_stream.ts";

/** What TLS settled on over a socket whose handshake is over. */
export function tlsDetails(socket: TLSSocket): TlsDetails {
  const [peerCertificate = null, ...peerIntermediates] = peerCertificates(socket);
  return {
    version: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher()?.name ?? "unknown",
    serverName: (socket as { servername?: string | false | null }).servername || null,
    alpn: socket.alpnProtocol || null,
    peerCertificate,
    peerIntermediates,
  };
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
