import { TLSSocket, type TLSSocketOptions } from "node:tls";
import { PgError, protocolViolation } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { untilAborted } from "./channel.ts";
import type { ByteStream } from "./byte_stream.ts";
import { NodeStream, upgradable } from "./node_stream.ts";
import type { ServerCertificate } from "./server_certificate.ts";

/** The one application protocol spoken here, by its ALPN name. */
export const ALPN_PROTOCOL = "postgresql";

/** A socket keeps this list as long as it lives: it is one for all of them. */
const ALPN_PROTOCOLS = [ALPN_PROTOCOL];

/**
 * What libpq is always ready to read at once, in bytes. Of a larger record it may leave a part inside its TLS, where `select`
 * does not see it: a program that waits by that goes on with the next record only. So the last one must not be larger.
 */
const LAST_RECORD = 8 * 1024;

/** How the proxy goes on inside TLS with a client. */
export interface AcceptTlsOptions {
  readonly certificate: ServerCertificate;
  /** The client is asked for a certificate; whether it shows one, and whose, is for `checkClientCertificate` to judge. */
  readonly asksForCertificate?: boolean;
  /** What was read of the client's handshake already: it began TLS without asking. */
  readonly begun?: Uint8Array;
  /** Ends the handshake when it aborts. */
  readonly signal: AbortSignal;
}

/**
 * Goes on inside TLS over an accepted connection.
 *
 * `node:tls`, because Deno has no in-band upgrade for servers (denoland/deno#18451). With direct TLS the client must name
 * the protocol by ALPN: a browser tricked into connecting does not.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL
 * @throws {PgError} 08P01 when the handshake fails
 */
export async function acceptTlsOver(stream: ByteStream, options: AcceptTlsOptions): Promise<ByteStream> {
  const isDirect = options.begun !== undefined;
  const over = upgradable(stream);
  const socket = new TLSSocket(
    over.handOver(options.begun),
    {
      isServer: true,
      secureContext: options.certificate.secureContext,
      ALPNProtocols: ALPN_PROTOCOLS,
      requestCert: options.asksForCertificate ?? false,
      // A client that proves no key for what it shows is refused all the same; who is refused else is told why, inside TLS.
      rejectUnauthorized: false,
      // What is given to it in one piece, or has waited in it, becomes records of 16 KiB.
      highWaterMark: LAST_RECORD,
    } as TLSSocketOptions & { readonly highWaterMark: number },
  );
  const secured = new NodeStream(socket, { over, beginning: "secure", lastPiece: LAST_RECORD });
  try {
    await untilAborted(secured.begun(), options.signal);
  } catch (cause) {
    secured.destroy();
    throw cause instanceof PgError ? cause : protocolViolation("TLS handshake failed", { cause });
  }
  if (isDirect && socket.alpnProtocol !== ALPN_PROTOCOL) {
    secured.destroy();
    throw new PgError(
      SQLSTATE.protocolViolation,
      `direct TLS connection without ALPN protocol "${ALPN_PROTOCOL}"`,
    );
  }
  return secured;
}
