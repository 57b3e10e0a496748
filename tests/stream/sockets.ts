import { Listener } from "../../lib/stream/listener.ts";
import { dial } from "../../lib/stream/dial.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { ConnListener } from "../../lib/stream/conn_listener.ts";
import { memoryPair } from "../../lib/stream/memory_stream.ts";
import { NodeStream } from "../../lib/stream/node_stream.ts";

/** Both ends of one connection over loopback, closed when they go out of scope. */
export interface SocketPair<S extends ByteStream = NodeStream> extends Disposable {
  /** The end that dialled. */
  readonly client: S;
  /** The end that was accepted. */
  readonly server: S;
}

/** Connects two {@link NodeStream}s over real sockets. */
export async function socketPair(): Promise<SocketPair> {
  const { client, server, ...rest } = await pairOf("socket");
  if (client instanceof NodeStream && server instanceof NodeStream) return { client, server, ...rest };
  throw new TypeError("these are no sockets of node:net");
}

/** Connects two streams over real sockets of this kind. */
export async function pairOf(transport: "socket" | "conn"): Promise<SocketPair<ByteStream>> {
  const accepted = Promise.withResolvers<ByteStream>();
  const events = { connection: accepted.resolve, acceptPaused: accepted.reject };
  const where = { host: "127.0.0.1", port: 0 };
  using listener = transport === "conn"
    ? ConnListener.open(where, events)
    : await Listener.open(where, events);
  const signal = AbortSignal.timeout(5000);
  const client = await dial({ kind: "tcp", ...listener.address }, { transport, signal });
  const server = await accepted.promise;
  return {
    client,
    server,
    [Symbol.dispose]() {
      client.destroy();
      server.destroy();
    },
  };
}

/** More than the buffers of two sockets take, in bytes. */
export const MUCH = 64 << 20;

/** Two streams of each kind that this house has. */
export const TRANSPORTS = [["memory"], ["socket"], ["conn"]] as const;

/** A pair of one of the {@link TRANSPORTS}. */
export async function streamsOf(transport: typeof TRANSPORTS[number][0]): Promise<SocketPair<ByteStream>> {
  if (transport !== "memory") return await pairOf(transport);
  const [client, server] = memoryPair();
  return { client, server, [Symbol.dispose]: () => server.destroy() };
}

/** Has the end that dialled reset its connection, by leaving with bytes unread; it must not read. */
export async function resetBy({ client, server }: SocketPair<ByteStream>): Promise<void> {
  await server.write(Uint8Array.of(1));
  client.destroy();
}

/** All that a stream gives until its peer ends. */
export async function readToEnd(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) {
    chunks.push(chunk.slice());
  }
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}
