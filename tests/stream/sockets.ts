import { Listener } from "../../lib/stream/listener.ts";
import { dial } from "../../lib/stream/dial.ts";
import type { NodeStream } from "../../lib/stream/node_stream.ts";

/** Both ends of one connection over loopback, closed when they go out of scope. */
export interface SocketPair extends Disposable {
  /** The end that dialled. */
  readonly client: NodeStream;
  /** The end that was accepted. */
  readonly server: NodeStream;
}

/** Connects two {@link NodeStream}s over real sockets. */
export async function socketPair(): Promise<SocketPair> {
  const accepted = Promise.withResolvers<NodeStream>();
  using listener = await Listener.open({ host: "127.0.0.1", port: 0 }, {
    connection: accepted.resolve,
    acceptPaused: accepted.reject,
  });
  const client = await dial({ kind: "tcp", ...listener.address }, AbortSignal.timeout(5000));
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

/** All that a stream gives until its peer ends. */
export async function readToEnd(stream: NodeStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) chunks.push(chunk);
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}
