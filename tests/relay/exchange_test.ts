import assert from "node:assert/strict";
import type { Departure } from "../../lib/relay/departure.ts";
import { Exchange } from "../../lib/relay/exchange.ts";
import type { RelayResult } from "../../lib/relay/relay.ts";
import { memoryPair } from "../../lib/stream/memory_stream.ts";
import { messagesOf } from "./model_backend.ts";
import { QUERY, READY } from "./scene.ts";

Deno.test.each<["client" | "backend"]>([["client"], ["backend"]])(
  "an Exchange whose code fails behind a chunk of the %s ends by itself, and not the program",
  async (from) => {
    const [client, clientSide] = memoryPair();
    const [backend, backendSide] = memoryPair();
    const exchange = new Exchange(clientSide, backendSide, { cancel: () => Promise.resolve() });
    const { promise, resolve } = Promise.withResolvers<RelayResult>();
    exchange.begin({ carried: resolve }, { fromClient: new Uint8Array(), fromBackend: new Uint8Array() });
    let checks = 0;
    const failing: Pick<Departure, "isHoldingBack" | "check" | typeof Symbol.dispose> = {
      isHoldingBack: false,
      // The backend's chunks are looked at when they are taken, too.
      check: () => {
        if (++checks === (from === "client" ? 1 : 2)) throw new TypeError("a mistake of ours");
      },
      [Symbol.dispose]: () => {},
    };
    exchange.departure = failing as Departure;
    await (from === "client" ? client.write(QUERY) : backend.write(READY));
    assert.deepEqual(
      (await messagesOf(client)).map(({ type }) => type),
      from === "client" ? ["E"] : ["Z", "E"],
    );
    client.destroy();
    assert.equal((await promise).how, "failed");
    backend.destroy();
  },
);
