import type { OpenedBackend } from "./backend_link.ts";
import type { Chronicle } from "./chronicle.ts";
import type { CancelKey } from "./relay/cancel_keys.ts";
import { Relay } from "./relay/relay.ts";
import type { Channel } from "./stream/channel.ts";
import { authentication } from "./wire/authentication.ts";
import { backendKeyData, readyForQuery } from "./wire/backend.ts";
import { encodeMessage } from "./wire/message.ts";

/**
 * What will carry bytes between a client and its backend, beginning with those that have been read ahead.
 *
 * What its closure keeps alive as long as the session lasts is the canceller and the chronicle, and no login.
 */
export function relayBetween(
  client: Channel,
  { stream: backend, buffered, canceller }: OpenedBackend,
  { chronicle }: { readonly chronicle: Chronicle },
): Relay {
  return new Relay(client.stream, backend, {
    fromClient: client.takeBuffered(),
    fromBackend: buffered,
    sendCancel: async (isStillMeant) => {
      await canceller?.cancel(isStillMeant).catch((cause) =>
        chronicle.note({ kind: "cancel_failed", cause })
      );
    },
  });
}

/** Tells the client all that the backend has said, as if it had said it to the client; only the cancel key is ours. */
export async function welcome(
  client: Channel,
  { reached, canceller }: OpenedBackend,
  { key }: { readonly key: CancelKey },
): Promise<void> {
  await client.say([
    encodeMessage(authentication, { kind: "AuthenticationOk" }),
    ...reached.forwarded,
    // Where the backend gives no key nothing could be cancelled: none is made up.
    ...(canceller === null ? [] : [encodeMessage(backendKeyData, key.keyData)]),
    encodeMessage(readyForQuery, { kind: "ReadyForQuery", transactionStatus: reached.transactionStatus }),
  ]);
}
