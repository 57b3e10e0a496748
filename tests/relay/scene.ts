import assert from "node:assert/strict";
import { Relay, type RelayResult } from "../../lib/relay/relay.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { memoryPair } from "../../lib/stream/memory_stream.ts";
import { errorResponse } from "../../lib/wire/error_response.ts";
import { decodeMessage } from "../../lib/wire/message.ts";

export const QUERY = message("Q", "select 1\0");
export const READY = message("Z", "I");
export const READY_IN_TRANSACTION = message("Z", "T");
export const TERMINATE = message("X", "");

/** A relay between two ends held by the test. */
export class Scene {
  readonly client: ByteStream;
  readonly backend: ByteStream;
  readonly relay: Relay;
  readonly result: Promise<RelayResult>;
  /** How many cancels were sent. */
  cancelled = 0;
  /** Awaited by each cancel before and behind the question whether it is still meant. */
  readonly dialled = Promise.withResolvers<void>();
  readonly delivered = Promise.withResolvers<void>();

  constructor({ fromClient = EMPTY, fromBackend = EMPTY, patienceMs = 1_000 } = {}) {
    const [client, clientSide] = memoryPair();
    const [backend, backendSide] = memoryPair();
    this.client = client;
    this.backend = backend;
    this.relay = new Relay(clientSide, backendSide, {
      fromClient,
      fromBackend,
      patienceMs,
      canceller: {
        cancel: async (isStillMeant) => {
          await this.dialled.promise;
          if (!isStillMeant()) return;
          this.cancelled++;
          await this.delivered.promise;
        },
      },
    });
    const { promise, resolve } = Promise.withResolvers<RelayResult>();
    this.relay.run({ carried: resolve });
    this.result = promise.finally(() => {
      clientSide.destroy();
      backendSide.destroy();
    });
  }

  /** A query is on its way, and the backend has it. */
  async askQuery(): Promise<void> {
    await this.client.write(QUERY);
    assert.deepEqual(await this.backend.read(), QUERY);
  }
}

const EMPTY = new Uint8Array(0);

/** A message with a type character. */
export function message(type: string, body: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(type + "\0\0\0\0" + body);
  new DataView(bytes.buffer).setInt32(1, bytes.length - 1);
  return bytes;
}

/** Everything that comes until the end. */
export async function bytesOf(stream: ByteStream): Promise<number[]> {
  const bytes: number[] = [];
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) bytes.push(...chunk);
  return bytes;
}

/** The ErrorResponses that come until the end, and nothing else may. */
export async function allOf(stream: ByteStream) {
  let rest = Uint8Array.from(await bytesOf(stream));
  const errors = [];
  while (rest.length > 0) {
    assert.equal(rest[0], errorResponse.type);
    const end = 1 + new DataView(rest.buffer, rest.byteOffset).getInt32(1);
    errors.push(decodeMessage(errorResponse, rest.subarray(5, end)));
    rest = rest.subarray(end);
  }
  return errors;
}
