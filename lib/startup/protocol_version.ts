import { type Dialogue, send } from "../dialogue.ts";
import { PgError } from "../errors.ts";
import { SQLSTATE } from "../sqlstate.ts";
import { negotiateProtocolVersion } from "../wire/backend.ts";
import { encodeMessage } from "../wire/message.ts";
import type { ProtocolVersion, StartupMessage } from "../wire/startup_packet.ts";

/** What the two sides will speak. */
export interface Negotiated {
  readonly protocolVersion: ProtocolVersion;
}

/** The newest minor version of protocol 3 spoken here. */
export const LATEST_MINOR = 2;

/** Parameters of this prefix ask for extensions of the protocol; none is known here. */
const PROTOCOL_OPTION_PREFIX = "_pq_.";

/**
 * Settles the protocol version; tells the client when it asked for a newer minor one or for extensions.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 * @throws {PgError} 0A000 when the major version is not 3
 */
export function* negotiateVersion(message: StartupMessage): Dialogue<Negotiated> {
  const { major, minor } = message.protocolVersion;
  if (major !== 3) throw unsupportedProtocol(message.protocolVersion);
  const protocolVersion = { major, minor: Math.min(minor, LATEST_MINOR) };
  const unrecognizedOptions = [...message.parameters.keys()].filter(isProtocolOption);
  if (minor > LATEST_MINOR || unrecognizedOptions.length > 0) {
    yield* send(encodeMessage(negotiateProtocolVersion, {
      kind: "NegotiateProtocolVersion",
      minorVersion: protocolVersion.minor,
      unrecognizedOptions,
    }));
  }
  return { protocolVersion };
}

/** Whether a startup parameter asks for an extension of the protocol. */
export function isProtocolOption(name: string): boolean {
  return name.startsWith(PROTOCOL_OPTION_PREFIX);
}

function unsupportedProtocol({ major, minor }: ProtocolVersion): PgError {
  return new PgError(
    SQLSTATE.featureNotSupported,
    `unsupported frontend protocol ${major}.${minor}: the proxy supports 3.0 to 3.${LATEST_MINOR}`,
  );
}
