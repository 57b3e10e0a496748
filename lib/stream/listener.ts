import { createServer, type Server, type Socket } from "node:net";
import { NodeStream } from "./node_stream.ts";

/** What a listener tells its owner. */
export interface ListenerEvents {
  readonly connection: (stream: NodeStream) => void;
  /** Accepting failed, for want of file descriptors say: the listener goes on after a pause. */
  readonly acceptPaused: (error: Error, pauseMs: number) => void;
}

/** A TCP port on which clients come in. */
export class Listener implements Disposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Where it listens: the port the system chose, when it was asked for port 0. */
  get address(): { readonly host: string; readonly port: number } {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the listener is closed");
    return { host: address.address, port: address.port };
  }

  /**
   * Begins to listen.
   *
   * @throws {Error} when the address is taken, not this machine's, or not permitted
   */
  static async open(
    where: { readonly host: string; readonly port: number },
    events: ListenerEvents,
  ): Promise<Listener> {
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      pauseOnConnect: true,
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(where.port, where.host, resolve);
    });
    server.removeAllListeners("error");
    server.on("error", (error) => events.acceptPaused(error, 0));
    server.on("connection", (socket: Socket) => {
      // A client may be gone again before it is looked at: then it has no address, and there is nobody to serve.
      if (socket.remoteAddress === undefined) return void socket.destroy();
      events.connection(new NodeStream(socket));
    });
    return new Listener(server);
  }

  /** Accepts no more; connections accepted go on. */
  close(): void {
    this.#server.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
