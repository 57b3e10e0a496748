import assert from "node:assert/strict";
import type { Departure } from "../../lib/relay/departure.ts";
import { Exchange } from "../../lib/relay/exchange.ts";
import type { RelayResult } from "../../lib/relay/relay.ts";
import { memoryPair } from "../../lib/stream/memory_stream.ts";
import { messagesOf } from "./model_backend.ts";
import { message, QUERY, READY, READY_IN_TRANSACTION } from "./scene.ts";

const BIND = message("B", "");
const COPY_IN_RESPONSE = message("G", "\0\0\0");
const COPY_DATA = message("d", "a row");
const COPY_DONE = message("c", "");

/** Who has sent what so far, and for whose next bytes nobody waits. */
const RESTS: readonly (readonly [name: string, steps: readonly Step[], client: boolean, backend: boolean])[] =
  [
    ["nothing was asked", [], true, true],
    ["half a query has come", [["client", QUERY.slice(0, 7)]], false, true],
    ["a query has come", [["client", QUERY]], true, false],
    ["half an answer has come", [["client", QUERY], ["backend", READY.slice(0, 5)]], true, false],
    ["a query is answered", [["client", QUERY], ["backend", READY]], true, true],
    ["it is in a transaction", [["client", QUERY], ["backend", READY_IN_TRANSACTION]], true, true],
    ["a Sync is missing", [["client", BIND]], false, false],
    [
      "data is copied in",
      [["client", QUERY], ["backend", COPY_IN_RESPONSE], ["client", COPY_DATA]],
      false,
      false,
    ],
    [
      "all is copied in",
      [["client", QUERY], ["backend", COPY_IN_RESPONSE], ["client", COPY_DONE]],
      true,
      false,
    ],
  ];

type Step = readonly [from: "client" | "backend", bytes: Uint8Array];

Deno.test.each(RESTS)("when %s, the two directions are at rest or not", (_name, steps, client, backend) => {
  const [, clientSide] = memoryPair();
  const [, backendSide] = memoryPair();
  const { fromClient, fromBackend } = new Exchange(clientSide, backendSide, {
    cancel: () => Promise.resolve(),
  });
  for (const [from, bytes] of steps) (from === "client" ? fromClient : fromBackend).take(bytes);
  fromClient[Symbol.dispose]();
  assert.deepEqual([fromClient.isAtRest, fromBackend.isAtRest], [client, backend]);
});

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
