import { type AddressInfo, createServer } from "node:net";
import { RawConnection } from "./raw_connection.ts";

/** A connection from our side: a client that says whatever the test likes. */
export const RawClient = { connect: RawConnection.connect };

/** What a fake backend does with each connection; the second argument counts them from 0. */
export type Script = (connection: RawConnection, index: number) => Promise<void>;

/** A listener that plays a script to whoever connects. */
export interface FakeBackend extends AsyncDisposable {
  readonly port: number;
  /** How many connections have come so far. */
  connectionCount(): number;
  /** Waits until every script that has begun is through; @throws what one of them threw. */
  finished(): Promise<void>;
}

/**
 * Starts a fake backend on 127.0.0.1. A connection is closed when its script is through. What a script throws is thrown
 * when the backend goes out of scope, unless it was only cut short by that.
 */
export async function fakeBackend(script: Script, { timeoutMs = 5_000 } = {}): Promise<FakeBackend> {
  const connections = new Set<RawConnection>();
  const scripts: Promise<void>[] = [];
  let isClosing = false;

  async function play(connection: RawConnection): Promise<void> {
    connections.add(connection);
    try {
      await script(connection, scripts.length - 1);
    } catch (thrown) {
      if (!isClosing) throw thrown;
    } finally {
      connections.delete(connection);
      await connection[Symbol.asyncDispose]();
    }
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    scripts.push(promise);
    resolve(play(new RawConnection(socket, { timeoutMs })));
    promise.catch(() => {}); // finished() throws it
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const finished = async () => void await Promise.all(scripts);
  return {
    port: (server.address() as AddressInfo).port,
    connectionCount: () => scripts.length,
    finished,
    async [Symbol.asyncDispose]() {
      isClosing = true;
      const closed = new Promise((resolve) => server.close(resolve));
      for (const connection of connections) await connection[Symbol.asyncDispose]();
      await closed;
      await finished();
    },
  };
}
