import { PgError, protocolViolation } from "../errors.ts";
import { isWithin, type Network } from "../network.ts";
import { SQLSTATE } from "../sqlstate.ts";
import type { Channel } from "./channel.ts";
import { decodeProxyHeader, resemblesProxyHeader } from "./proxy_header.ts";

/**
 * Learns from a balancer who has come: a peer in one of the networks must begin with a PROXY header, and from then on the
 * connection is its client's. Of all others nothing is read here. What a client could write itself is never guessed to be a
 * balancer's word.
 *
 * @param balancers `listen.proxy_protocol`
 * @throws {PgError} 08P01 when it does not begin with one; 08006 when it leaves in the middle of it
 */
export async function receiveProxyHeader(channel: Channel, balancers: readonly Network[]): Promise<void> {
  const { stream } = channel;
  const { address } = stream.peer;
  if (!isWithin(address, balancers)) return;
  const header = await channel.receiveFirst((bytes) => {
    try {
      return decodeProxyHeader(bytes);
    } catch (error) {
      const { message } = error as PgError;
      throw protocolViolation(message, {
        reason: `${address} is in listen.proxy_protocol: its connections must begin with a PROXY header`,
      });
    }
  });
  const proxied = header?.proxied ?? null;
  if (proxied === null) return;
  stream.peer = proxied.client;
  stream.local = proxied.server;
}

/** Why a conversation could not begin: where that is because of a PROXY header, the error says so. */
export function withUnexpectedHeader(
  thrown: unknown,
  { channel, via, balancers }: {
    readonly channel: Channel;
    /** Address of the peer itself. */
    readonly via: string;
    readonly balancers: readonly Network[];
  },
): unknown {
  // To the startup phase it is a packet of impossible length.
  const isPuzzled = thrown instanceof PgError && thrown.sqlstate === SQLSTATE.protocolViolation &&
    channel.isConnected;
  if (!isPuzzled || !resemblesProxyHeader(channel.takeBuffered())) return thrown;
  const reason = isWithin(via, balancers)
    ? `${via} is in listen.proxy_protocol, and has sent another PROXY header before`
    : `${via} is in no network of listen.proxy_protocol: add it there, if it is a balancer of yours`;
  return protocolViolation("unexpected PROXY header", { reason });
}
