import { plainAddress } from "../address.ts";
import { ConnStream } from "./conn_stream.ts";
import { type ListenerEvents, type ListenPlace, PAUSE_MS } from "./listener.ts";

/** A TCP port on which clients come in that TLS is not offered to: Deno's own sockets, which cost least. */
export class ConnListener implements Disposable {
  readonly #listener: Deno.TcpListener;
  readonly #events: ListenerEvents;
  readonly address: { readonly host: string; readonly port: number };
  #isClosed = false;
  #pause: ReturnType<typeof setTimeout> | undefined;

  private constructor(listener: Deno.TcpListener, events: ListenerEvents) {
    this.#listener = listener;
    this.#events = events;
    this.address = { host: listener.addr.hostname, port: listener.addr.port };
  }

  /**
   * Begins to listen.
   *
   * @throws {Error} when the address is taken, not this machine's, or not permitted
   */
  static open(
    { host: hostname, port, isShared: reusePort = false }: ListenPlace,
    events: ListenerEvents,
  ): ConnListener {
    const listener = new ConnListener(Deno.listen({ hostname, port, reusePort }), events);
    void listener.#acceptAll();
    return listener;
  }

  /** Accepts no more; connections accepted go on. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#pause);
    this.#listener.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #acceptAll(): Promise<void> {
    while (!this.#isClosed) {
      const conn = await this.#listener.accept().catch((error: Error) => error);
      if (!(conn instanceof Error)) this.#take(conn);
      else if (!this.#isClosed && !isOfOneClient(conn)) await this.#pauseFor(conn);
    }
  }

  /** What keeps a connection from being accepted, want of file descriptors above all, passes. */
  #pauseFor(error: Error): Promise<void> {
    this.#events.acceptPaused(error, PAUSE_MS);
    return new Promise((resolve) => this.#pause = setTimeout(resolve, PAUSE_MS));
  }

  #take(conn: Deno.TcpConn): void {
    const { hostname, port } = conn.remoteAddr;
    const stream = new ConnStream(conn, { address: plainAddress(hostname), port });
    try {
      conn.setNoDelay(true);
      // At the system's own pace, which is two hours: Deno's connections cannot be told another.
      conn.setKeepAlive(true);
    } catch {
      // A client may be gone again before it is looked at.
      return stream.destroy();
    }
    this.#events.connection(stream);
  }
}

/** A client was gone before it could be accepted, as health checks of balancers mostly are: the next one need not wait. */
function isOfOneClient(error: Error): boolean {
  const { NotConnected, ConnectionAborted, ConnectionReset } = Deno.errors;
  return [NotConnected, ConnectionAborted, ConnectionReset].some((kind) => error instanceof kind);
}
