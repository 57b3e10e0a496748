// The room `startup/`: how a conversation opens, up to the moment somebody asks to log in.
// In: the first bytes of a connection. Out: an `Opening`: a session asked for, a cancel request, or silence.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
import {
  type Dialogue,
  nothingBuffered,
  peekByte,
  type Question,
  question,
  receive,
  send,
} from "../dialogue.ts";
import { PgError, protocolViolation } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { type CancelRequest, type StartupMessage, startupPacket } from "../wire/startup_packet.ts";
import { type Negotiated, negotiateVersion } from "./protocol_version.ts";

/** How a connection opened. */
export type Opening =
  | { readonly kind: "silence" }
  | { readonly kind: "cancel"; readonly request: CancelRequest }
  | (Negotiated & {
    readonly kind: "session";
    readonly isEncrypted: boolean;
    readonly parameters: StartupMessage["parameters"];
  });

/** What the listener offers. */
export interface OpeningPolicy {
  /** There is a certificate to speak TLS with. */
  readonly offersTls: boolean;
  /** A session outside TLS is let in: `insecure_plaintext`. */
  readonly allowsPlaintext: boolean;
}

/** Asks the outside to go on inside TLS; `isDirect` when the client began with it, without an SSLRequest. */
export const acceptTls: Question<{ readonly isDirect: boolean }, void> = question("accept TLS");

/** The first byte of a TLS record that carries a ClientHello: no startup packet can be that long. */
const TLS_HANDSHAKE = 0x16;

const YES = new Uint8Array([0x53]); // S
const NO = new Uint8Array([0x4e]); // N

/**
 * Goes from the first byte to a session asked for, answering SSLRequest and GSSENCRequest once each.
 *
 * @throws {PgError} 08P01 when the client breaks the order or slips in bytes before TLS
 * @throws {PgError} 28000 when a session is asked for outside TLS
 * @throws {PgError} 0A000 when the protocol's major version is not 3
 */
export function* openConversation(policy: OpeningPolicy): Dialogue<Opening> {
  const firstByte = yield* peekByte();
  if (firstByte === null) return { kind: "silence" };
  let isEncrypted = false;
  if (firstByte === TLS_HANDSHAKE && policy.offersTls) {
    yield* acceptTls({ isDirect: true });
    isEncrypted = true;
  }
  let mayAskTls = !isEncrypted;
  let mayAskGss = !isEncrypted;
  for (;;) {
    const packet = yield* receive(startupPacket);
    switch (packet.kind) {
      case "GSSENCRequest":
        if (!mayAskGss) throw protocolViolation("GSSENCRequest may come only once, and not inside TLS");
        mayAskGss = false;
        yield* nothingBuffered(packet.kind);
        yield* send(NO);
        break;
      case "SSLRequest":
        if (!mayAskTls) throw protocolViolation("SSLRequest may come only once, and not inside TLS");
        mayAskTls = false;
        yield* nothingBuffered(packet.kind);
        yield* send(policy.offersTls ? YES : NO);
        if (!policy.offersTls) break;
        yield* acceptTls({ isDirect: false });
        isEncrypted = true;
        mayAskGss = false;
        break;
      case "CancelRequest":
        return { kind: "cancel", request: packet };
      case "StartupMessage":
        if (!isEncrypted && !policy.allowsPlaintext) throw tlsRequired();
        return {
          kind: "session",
          isEncrypted,
          parameters: packet.parameters,
          ...yield* negotiateVersion(packet),
        };
    }
  }
}

function tlsRequired(): PgError {
  return new PgError(SQLSTATE.invalidAuthorizationSpecification, "connection requires TLS", {
    hint: "Connect with sslmode=verify-full, or at least sslmode=require.",
  });
}
