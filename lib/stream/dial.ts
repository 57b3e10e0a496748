import { connect, isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls, type ConnectionOptions } from "node:tls";
import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { ALPN_PROTOCOL } from "./accept_tls.ts";
import { untilAborted } from "./channel.ts";
import type { ByteStream } from "./byte_stream.ts";
import { ConnStream } from "./conn_stream.ts";
import { KEEP_ALIVE_MS, NodeStream, upgradable } from "./node_stream.ts";

/** Where a backend listens. */
export type Endpoint =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** How far a backend's certificate is checked: libpq's words, without those that may fall back to plain text. */
export type VerifyMode = "require" | "verify-ca" | "verify-full";

/** How to go on inside TLS with a backend. */
export interface BackendTls {
  readonly mode: VerifyMode;
  /** The name the certificate must be for. */
  readonly host: string;
  /** The backend has to choose our protocol by ALPN: without SSLRequest nothing else shows that it speaks PostgreSQL. */
  readonly isAlpnRequired: boolean;
  /** PEM: the only authorities trusted; without it, those the runtime trusts. */
  readonly authoritiesPem?: string;
  /** PEM: the proxy's own certificate and key, where the backend asks for one. */
  readonly certificatePem?: string;
  readonly privateKeyPem?: string;
  readonly signal: AbortSignal;
}

/** How a connection is made. */
export interface DialOptions {
  /** `socket`: of `node:net`, which can go on inside TLS. `conn`: Deno's own, which cannot, and costs less. */
  readonly transport: "socket" | "conn";
  readonly signal: AbortSignal;
}

/**
 * Connects to a backend, outside TLS as yet.
 *
 * @throws {PgError} 08001 when it cannot be reached
 */
export async function dial(endpoint: Endpoint, options: DialOptions): Promise<ByteStream> {
  const { transport, signal } = options;
  try {
    return await (transport === "conn" ? dialConn : dialSocket)(endpoint, signal);
  } catch (error) {
    throw error instanceof PgError ? error : unreachable("could not connect to the backend", error);
  }
}

async function dialConn(endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream> {
  const connecting = endpoint.kind === "unix"
    ? Deno.connect({ transport: "unix", path: endpoint.path })
    : connectTcp(endpoint.host, endpoint.port);
  try {
    return new ConnStream(await untilAborted<Deno.Conn>(connecting, signal), endpointAddress(endpoint));
  } catch (error) {
    // What is still connecting is closed when it comes too late.
    connecting.then((conn) => conn.close(), () => {});
    throw error;
  }
}

async function connectTcp(hostname: string, port: number): Promise<Deno.Conn> {
  const conn = await Deno.connect({ hostname, port });
  conn.setNoDelay(true);
  conn.setKeepAlive(true);
  return conn;
}

async function dialSocket(endpoint: Endpoint, signal: AbortSignal): Promise<ByteStream> {
  const socket = connect({
    ...(endpoint.kind === "unix" ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port }),
    allowHalfOpen: true,
  });
  const stream = new NodeStream(socket, { peer: endpointAddress(endpoint), beginning: "connect" });
  try {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    await untilAborted(stream.begun(), signal);
    return stream;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/**
 * Goes on inside TLS over a connection to a backend.
 *
 * `node:tls` and not `Deno.startTls`: there `caCerts` are added to the authorities trusted anyway, where sslrootcert must
 * replace them; client certificates are ignored (denoland/deno#21496), and the peer's certificate cannot be seen, which
 * channel binding needs.
 *
 * @throws {PgError} 08001 when the handshake fails or the certificate is not good
 */
export async function secureBackend(stream: ByteStream, tls: BackendTls): Promise<ByteStream> {
  const over = upgradable(stream);
  const socket = connectTls(secureOptions(over.handOver(), tls));
  const secured = new NodeStream(socket, { over, beginning: "secureConnect" });
  try {
    await untilAborted(secured.begun(), tls.signal);
  } catch (error) {
    secured.destroy();
    throw error instanceof PgError ? error : unreachable("could not establish TLS with the backend", error);
  }
  if (tls.isAlpnRequired && socket.alpnProtocol !== ALPN_PROTOCOL) {
    secured.destroy();
    throw unreachable(
      "could not establish TLS with the backend",
      "it did not choose the protocol postgresql by ALPN",
    );
  }
  return secured;
}

/** Whether {@link secureBackend} has failed because the certificate has expired, or none of the authorities has signed it. */
export function isMistrust(error: unknown): boolean {
  return error instanceof PgError && (error.cause as { code?: unknown } | undefined)?.code === MISTRUSTED;
}

function secureOptions(socket: Socket, tls: BackendTls): ConnectionOptions {
  // libpq's rule: require does not look at the certificate, unless there are authorities to check it by.
  const isChainChecked = tls.mode !== "require" || tls.authoritiesPem !== undefined;
  const isNameChecked = tls.mode === "verify-full";
  return {
    socket,
    // An address is no server name (RFC 6066 section 3); it is still what the certificate is checked for.
    ...(isIP(tls.host) ? { host: tls.host } : { servername: tls.host }),
    ca: tls.authoritiesPem,
    cert: tls.certificatePem,
    key: tls.privateKeyPem,
    ALPNProtocols: [ALPN_PROTOCOL],
    rejectUnauthorized: isChainChecked,
    checkServerIdentity: isNameChecked
      ? (_, certificate) => checkServerIdentity(tls.host, certificate)
      : () => undefined,
  };
}

function endpointAddress(endpoint: Endpoint) {
  return endpoint.kind === "unix"
    ? { address: endpoint.path, port: 0 }
    : { address: endpoint.host, port: endpoint.port };
}

/** Deno 2.9.6 has one error for every certificate that does not hold: it does not tell an expired one from a stranger's. */
const MISTRUSTED = "UNABLE_TO_VERIFY_LEAF_SIGNATURE";

function reasonOf(error: Error & { readonly code?: unknown }): string {
  if (error.code !== MISTRUSTED) return error.message;
  return `${error.message}: it has expired, or no authority of sslrootcert has signed it`;
}

function unreachable(message: string, cause: unknown): PgError {
  const reason = cause instanceof Error ? reasonOf(cause) : String(cause);
  return new PgError(SQLSTATE.sqlclientUnableToEstablishSqlconnection, message, {
    blame: "backend",
    reason,
    cause,
  });
}
