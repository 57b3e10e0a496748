import { type Dialogue, receive } from "../dialogue.ts";
import type { Secret } from "../secret.ts";
import { type Authentication, authentication } from "../wire/authentication.ts";
import {
  type NegotiateProtocolVersion,
  negotiateProtocolVersion,
  type ParameterStatus,
  parameterStatus,
} from "../wire/backend.ts";
import {
  type ErrorResponse,
  errorResponse,
  type NoticeResponse,
  noticeResponse,
} from "../wire/error_response.ts";
import { decodeMessage, type Message } from "../wire/message.ts";
import type { ProtocolVersion } from "../wire/startup_packet.ts";
import { Writer } from "../wire/writer.ts";
import { backendViolation, errorOfBackend } from "./backend_error.ts";

/** A way to log in that `require_auth` can name; libpq's words, and two of ours: `scram-sha-256-plus` and `cert`. */
export type AuthWord =
  | "scram-sha-256-plus"
  | "scram-sha-256"
  | "md5"
  | "password"
  | "oauth"
  | "cert"
  | "none";

/** Whether SCRAM is bound to the TLS it runs in; libpq's words. */
export type ChannelBinding = "disable" | "prefer" | "require";

/** What the proxy logs in with, and on what kind of connection. */
export interface Credentials {
  /** The backend's name in the configuration, for messages. */
  readonly backend: string;
  readonly user: string;
  readonly password?: Secret;
  /** The client's own, where `require_auth` lets it be passed on. */
  readonly token?: Secret;
  readonly requireAuth: readonly AuthWord[];
  readonly channelBinding: ChannelBinding;
  /** `tls-server-end-point` of the backend's certificate; undefined without TLS, or where it cannot be had. */
  readonly certificateHash?: Uint8Array;
  readonly isEncrypted: boolean;
  /** Whether TLS has shown that this is the host the configuration names, and no other. */
  readonly isVerified: boolean;
  /** Whether the connection never leaves this machine. */
  readonly isLocal: boolean;
  readonly hasClientCertificate: boolean;
}

/** What a login forwards is held until the client can be told; an endless stream of notices must not fill the memory. */
const MAX_FORWARDED_BYTES = 1 << 20;

/** A login has some thirty messages. Each takes time whatever its length, and while there are more, nobody else is heard. */
const MAX_MESSAGES = 1000;

const TOO_MUCH = "it said too much before ReadyForQuery";

/** One login as it goes on: what it is made with, and what the backend has said besides. */
export class Login {
  readonly credentials: Credentials;
  readonly parameterStatuses: ParameterStatus[] = [];
  readonly forwarded: Uint8Array<ArrayBuffer>[] = [];
  #protocolVersion: ProtocolVersion;
  #forwardedBytes = 0;
  #messages = 0;
  #isVersionSettled = false;

  constructor(credentials: Credentials, protocolVersion: ProtocolVersion) {
    this.credentials = credentials;
    this.#protocolVersion = protocolVersion;
  }

  /** The version asked for, or the lower one the backend has named. */
  get protocolVersion(): ProtocolVersion {
    return this.#protocolVersion;
  }

  /** The error of a backend that broke the protocol. */
  violation(reason: string): Error {
    return backendViolation(this.credentials.backend, reason);
  }

  /**
   * Receives one of `expected`. What a backend may say at any time is noted on the way: a notice, another version.
   *
   * @throws {PgError} the backend's own SQLSTATE, or what stands for it, when it is an ErrorResponse that comes
   * @throws {PgError} 08P01 when it has said too much already
   */
  *receive<M extends { readonly kind: string }>(...expected: readonly Message<M>[]): Dialogue<M> {
    for (;;) {
      const message = yield* receive<M | Aside>(
        ...expected,
        noticeAsItCame,
        negotiateProtocolVersion,
        errorResponse,
      );
      if (++this.#messages > MAX_MESSAGES) throw this.violation(TOO_MUCH);
      if (!isAside(message)) return message;
      switch (message.kind) {
        case "NoticeAsItCame":
          this.#forward(message.bytes);
          break;
        case "NegotiateProtocolVersion":
          this.#settleVersion(message.minorVersion);
          break;
        case "ErrorResponse":
          throw errorOfBackend(this.credentials.backend, withoutToken(message, this.credentials.token));
      }
    }
  }

  /**
   * Receives an authentication request, which must be of this kind.
   *
   * @throws {PgError} 08P01 when it is another: AuthenticationOk in the middle of SCRAM would skip the backend's proof
   */
  *receiveAuthentication<K extends Authentication["kind"]>(
    kind: K,
  ): Dialogue<Extract<Authentication, { kind: K }>> {
    const message = yield* this.receive(authentication);
    if (message.kind !== kind) throw this.violation(`it sent ${message.kind} where ${kind} was due`);
    return message as Extract<Authentication, { kind: K }>;
  }

  /**
   * Notes the value a run-time parameter now has.
   *
   * @throws {PgError} 08P01 when the backend has said too much already
   */
  noteStatus({ status, bytes }: StatusAsItCame): void {
    this.#forward(bytes);
    this.parameterStatuses.push(status);
  }

  /** Keeps a whole message for the client, behind those already kept. */
  #forward(bytes: Uint8Array<ArrayBuffer>): void {
    this.#forwardedBytes += bytes.length;
    if (this.#forwardedBytes > MAX_FORWARDED_BYTES) {
      throw this.violation(TOO_MUCH);
    }
    this.forwarded.push(bytes);
  }

  #settleVersion(minor: number): void {
    if (this.#isVersionSettled) throw this.violation("it answered twice with a protocol version");
    this.#isVersionSettled = true;
    const { major, minor: current } = this.#protocolVersion;
    if (minor > current) throw this.violation("it answered with a protocol version above the one asked for");
    this.#protocolVersion = { major, minor };
  }
}

type Aside = NoticeAsItCame | NegotiateProtocolVersion | ErrorResponse;

interface NoticeAsItCame {
  readonly kind: "NoticeAsItCame";
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** NoticeResponse (B), kept as bytes: decoding and encoding would lose fields we do not know and text that is not UTF-8. */
const noticeAsItCame: Message<NoticeAsItCame> = {
  ...noticeResponse,
  decode(reader) {
    const body = reader.rest();
    decodeMessage<NoticeResponse>(noticeResponse, body);
    return { kind: "NoticeAsItCame", bytes: asItCame(noticeResponse, body) };
  },
  encode: (writer, { bytes }) => void writer.bytes(bytes),
};

/** A ParameterStatus with its bytes. */
export interface StatusAsItCame {
  readonly kind: "StatusAsItCame";
  readonly status: ParameterStatus;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** ParameterStatus (B), with its bytes: a value that is not UTF-8 must reach the client as it is. */
export const statusAsItCame: Message<StatusAsItCame> = {
  ...parameterStatus,
  decode(reader) {
    const body = reader.rest();
    const status = decodeMessage(parameterStatus, body);
    return { kind: "StatusAsItCame", status, bytes: asItCame(parameterStatus, body) };
  },
  encode: (writer, { status }) => parameterStatus.encode(writer, status),
};

/** A backend that was given the token could say it again, and have it written to our log (T17). */
function withoutToken(error: ErrorResponse, token: Secret | undefined): ErrorResponse {
  if (token === undefined) return error;
  const withheld = (text: string | undefined) => text?.replaceAll(token.reveal(), "[secret]");
  const { message, detail, hint } = error;
  return { ...error, message: withheld(message), detail: withheld(detail), hint: withheld(hint) };
}

/** A message whole again, copied out of the read buffer. */
function asItCame({ type }: { readonly type: number | null }, body: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Writer().begin(type).bytes(body).finish();
}

function isAside(message: { readonly kind: string }): message is Aside {
  return ["NoticeAsItCame", "NegotiateProtocolVersion", "ErrorResponse"].includes(message.kind);
}
