import { type Dialogue, send } from "../dialogue.ts";
import { authentication } from "../wire/authentication.ts";
import {
  type BackendKeyData,
  backendKeyData,
  type ParameterStatus,
  type ReadyForQuery,
  readyForQuery,
  type TransactionStatus,
} from "../wire/backend.ts";
import { encodeMessage } from "../wire/message.ts";
import { type ProtocolVersion, startupPacket } from "../wire/startup_packet.ts";
import { withBackend } from "./backend_error.ts";
import { type Credentials, Login, type StatusAsItCame, statusAsItCame } from "./login.ts";
import { authenticate } from "./methods.ts";

export type { AuthWord, ChannelBinding, Credentials } from "./login.ts";

/** What is asked of a backend in the StartupMessage. */
export interface Startup {
  readonly protocolVersion: ProtocolVersion;
  /** Sent in this order. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** What a backend has said by the time it is ready for the first query. */
export interface LoginResult {
  /** The version asked for, or the lower one the backend has named. */
  readonly protocolVersion: ProtocolVersion;
  /** In the order reported; a name may come twice. */
  readonly parameterStatuses: readonly ParameterStatus[];
  /** Every ParameterStatus and NoticeResponse as it came, whole and in order, for the client to be told the same. */
  readonly forwarded: readonly Uint8Array<ArrayBuffer>[];
  /** Undefined when the backend gave none, as Amazon's RDS Proxy does: its queries cannot be cancelled. */
  readonly backendKey?: { readonly processId: number; readonly secretKey: Uint8Array };
  readonly transactionStatus: TransactionStatus;
}

/**
 * Logs in to a backend on a connection that stands, from StartupMessage to ReadyForQuery.
 *
 * @throws {PgError} 08001 when the backend wants to be logged in to in a way that is not allowed
 * @throws {PgError} 08P01 when it breaks the protocol, or fails to prove that it knows the password
 * @throws {PgError} 28P01, 28000 when it refuses us; another SQLSTATE of its own when it says one
 */
export function* logIn(startup: Startup, credentials: Credentials): Dialogue<LoginResult> {
  const login = new Login(credentials, startup.protocolVersion);
  const ready = yield* withBackend(credentials.backend, speakLogin(login, startup.parameters));
  return resultOf(login, ready);
}

/** What ends a login. */
export type Ready = Pick<LoginResult, "backendKey" | "transactionStatus">;

/** Speaks a login; what the backend says besides is noted in `login`. */
export function* speakLogin(login: Login, parameters: ReadonlyMap<string, string>): Dialogue<Ready> {
  const { protocolVersion } = login;
  yield* send(encodeMessage(startupPacket, { kind: "StartupMessage", protocolVersion, parameters }));
  yield* authenticate(yield* login.receive(authentication), login);

  let backendKey: Ready["backendKey"];
  for (;;) {
    const message = yield* login.receive<StatusAsItCame | BackendKeyData | ReadyForQuery>(
      statusAsItCame,
      backendKeyData,
      readyForQuery,
    );
    switch (message.kind) {
      case "StatusAsItCame":
        login.noteStatus(message);
        break;
      case "BackendKeyData":
        // A view into the read buffer, and the key is needed as long as the session lasts.
        backendKey = { processId: message.processId, secretKey: message.secretKey.slice() };
        break;
      case "ReadyForQuery":
        return { backendKey, transactionStatus: message.transactionStatus };
    }
  }
}

/** Everything a login has come to. */
export function resultOf(login: Login, ready: Ready): LoginResult {
  const { protocolVersion, parameterStatuses, forwarded } = login;
  return { protocolVersion, parameterStatuses, forwarded, ...ready };
}
