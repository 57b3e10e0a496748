import type { Message } from "./message.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** A protocol version: 3.0, or 3.2 since PostgreSQL 18. */
export interface ProtocolVersion {
  readonly major: number;
  readonly minor: number;
}

/** SSLRequest (F): may we go on inside TLS? */
export interface SslRequest {
  readonly kind: "SSLRequest";
}

/** GSSENCRequest (F): may we go on inside GSSAPI encryption? */
export interface GssEncRequest {
  readonly kind: "GSSENCRequest";
}

/** CancelRequest (F): a connection of its own that asks to stop another's query. */
export interface CancelRequest {
  readonly kind: "CancelRequest";
  readonly processId: number;
  /** 4 bytes in protocol 3.0, up to 256 in 3.2. */
  readonly secretKey: Uint8Array;
}

/** StartupMessage (F): the version spoken and the parameters of the session. */
export interface StartupMessage {
  readonly kind: "StartupMessage";
  readonly protocolVersion: ProtocolVersion;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Any packet that may open a connection. */
export type StartupPacket = SslRequest | GssEncRequest | CancelRequest | StartupMessage;

// The request codes are version numbers nobody will ever use: major 1234.
const CANCEL_REQUEST_CODE = 80877102; // 1234.5678
const SSL_REQUEST_CODE = 80877103; // 1234.5679
const GSSENC_REQUEST_CODE = 80877104; // 1234.5680

/** The largest startup packet PostgreSQL accepts, in bytes (MAX_STARTUP_PACKET_LENGTH). */
export const MAX_STARTUP_PACKET_LENGTH = 10000;

const MIN_CANCEL_KEY_LENGTH = 4;
const MAX_CANCEL_KEY_LENGTH = 256;

/**
 * The first packet of a connection; unlike every later message it has no type byte.
 *
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-STARTUPMESSAGE
 */
export const startupPacket: Message<StartupPacket> = {
  name: "startup packet",
  type: null,
  maxLength: MAX_STARTUP_PACKET_LENGTH,
  decode(reader) {
    const code = reader.int32();
    switch (code) {
      case SSL_REQUEST_CODE:
        return { kind: "SSLRequest" };
      case GSSENC_REQUEST_CODE:
        return { kind: "GSSENCRequest" };
      case CANCEL_REQUEST_CODE:
        return decodeCancelRequest(reader);
      default:
        return decodeStartupMessage(reader, { major: code >>> 16, minor: code & 0xffff });
    }
  },
  encode(writer, packet) {
    switch (packet.kind) {
      case "SSLRequest":
        writer.int32(SSL_REQUEST_CODE);
        return;
      case "GSSENCRequest":
        writer.int32(GSSENC_REQUEST_CODE);
        return;
      case "CancelRequest":
        writer.int32(CANCEL_REQUEST_CODE).int32(packet.processId).bytes(packet.secretKey);
        return;
      case "StartupMessage":
        encodeStartupMessage(writer, packet);
    }
  },
};

function decodeCancelRequest(reader: Reader): CancelRequest {
  const processId = reader.int32();
  const secretKey = reader.rest();
  if (secretKey.length < MIN_CANCEL_KEY_LENGTH || secretKey.length > MAX_CANCEL_KEY_LENGTH) {
    throw reader.violation("has a cancel key of impossible length");
  }
  return { kind: "CancelRequest", processId, secretKey };
}

function decodeStartupMessage(reader: Reader, protocolVersion: ProtocolVersion): StartupMessage {
  const parameters = new Map<string, string>();
  // A version other than 3 lays out its packet in a way we do not know: the version alone is answered.
  if (protocolVersion.major !== 3) {
    reader.rest();
    return { kind: "StartupMessage", protocolVersion, parameters };
  }
  for (let name = reader.string(); name !== ""; name = reader.string()) {
    if (parameters.has(name)) throw reader.violation("names a parameter twice");
    parameters.set(name, reader.string());
  }
  return { kind: "StartupMessage", protocolVersion, parameters };
}

function encodeStartupMessage(writer: Writer, message: StartupMessage): void {
  const { major, minor } = message.protocolVersion;
  writer.int32((major << 16) | minor);
  if (major !== 3) return;
  for (const [name, value] of message.parameters) writer.string(name).string(value);
  writer.uint8(0);
}
