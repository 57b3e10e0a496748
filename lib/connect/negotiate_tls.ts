import { type Dialogue, nothingBuffered, receiveByte, send } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { encodeMessage } from "../wire/message.ts";
import { startupPacket } from "../wire/startup_packet.ts";
import { backendUnusable, backendViolation, withBackend } from "./backend_error.ts";
import { ConnectTimeout, OtherAuthority, type StartedTls, startTls } from "./questions.ts";
import type { Sslmode } from "./target.ts";

/** What {@link negotiateTls} goes by. */
export interface TlsWanted {
  /** The backend's name in the configuration, for messages. */
  readonly backend: string;
  readonly serverName: string;
  readonly sslmode: Exclude<Sslmode, "disable">;
  /** Whether TLS begins at once, without SSLRequest (sslnegotiation=direct). */
  readonly isDirect: boolean;
}

const S = 0x53;
const N = 0x4e;
const E = 0x45;

/**
 * Goes on inside TLS on a connection just dialled, by SSLRequest or at once. There is no way back to plain text.
 *
 * @throws {PgError} 08001 when the backend has no TLS, or its certificate is not good
 * @throws {PgError} 08P01 when it says anything but its one byte before TLS (CVE-2021-23222)
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL
 */
export function negotiateTls(wanted: TlsWanted): Dialogue<StartedTls> {
  return withBackend(
    wanted.backend,
    wanted.isDirect ? upgrade(wanted) : ask(wanted),
  );
}

function* ask(wanted: TlsWanted): Dialogue<StartedTls> {
  const { backend } = wanted;
  yield* send(encodeMessage(startupPacket, { kind: "SSLRequest" }));
  const reply = yield* receiveByte("the answer to SSLRequest");
  switch (reply) {
    case S:
      yield* nothingBuffered("the answer to SSLRequest");
      return yield* upgrade(wanted);
    case N:
      throw backendUnusable(backend, "it has no TLS, and nothing is sent to it in plain text");
    case E:
      // Whoever sits in between could have written the error: not a word of it is read (CVE-2024-10977).
      throw backendUnusable(backend, "it answered SSLRequest with an error, which is not read outside TLS");
    default:
      throw backendViolation(backend, "it answered SSLRequest with neither S nor N");
  }
}

function* upgrade({ backend, serverName, sslmode, isDirect }: TlsWanted): Dialogue<StartedTls> {
  try {
    return yield* startTls({ serverName, sslmode, isAlpnRequired: isDirect });
  } catch (thrown) {
    if (thrown instanceof ConnectTimeout || thrown instanceof OtherAuthority) throw thrown;
    // What went wrong in a handshake names hosts and certificates: it is for the log.
    const isUnusable = thrown instanceof PgError &&
      thrown.sqlstate === SQLSTATE.sqlclientUnableToEstablishSqlconnection;
    throw isUnusable ? backendUnusable(backend, thrown.reason ?? thrown.message) : thrown;
  }
}
