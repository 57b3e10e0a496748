import type { BackendCanceller, OpenedBackend } from "./backend_link.ts";
import type { Chronicle } from "./chronicle.ts";
import type { CancelKey } from "./relay/cancel_keys.ts";
import type { Canceller } from "./relay/cancelling.ts";
import { Relay } from "./relay/relay.ts";
import type { Channel } from "./stream/channel.ts";
import { authentication } from "./wire/authentication.ts";
import { backendKeyData, readyForQuery } from "./wire/backend.ts";
import { encodeMessage } from "./wire/message.ts";

/** What will carry bytes between a client and its backend, beginning with those that have been read ahead. */
export function relayBetween(
  client: Channel,
  { stream: backend, buffered, canceller }: OpenedBackend,
  { chronicle }: { readonly chronicle: Chronicle },
): Relay {
  return new Relay(client.stream, backend, {
    fromClient: client.takeBuffered(),
    fromBackend: buffered,
    canceller: new ReportingCanceller(canceller, chronicle),
  });
}

/** Tells of each cancel that has not reached the backend. A class: its closure would take twice the memory in each session. */
class ReportingCanceller implements Canceller {
  readonly #canceller: BackendCanceller | null;
  readonly #chronicle: Chronicle;

  constructor(canceller: BackendCanceller | null, chronicle: Chronicle) {
    this.#canceller = canceller;
    this.#chronicle = chronicle;
  }

  async cancel(isStillMeant: () => boolean): Promise<void> {
    try {
      await this.#canceller?.cancel(isStillMeant);
    } catch (cause) {
      this.#chronicle.note({ kind: "cancel_failed", cause });
    }
  }
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
