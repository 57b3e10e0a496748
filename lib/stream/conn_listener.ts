import { ConnStream } from "./conn_stream.ts";
import { type ListenerEvents, PAUSE_MS } from "./listener.ts";

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
    { host: hostname, port }: { readonly host: string; readonly port: number },
    events: ListenerEvents,
  ): ConnListener {
    const listener = new ConnListener(Deno.listen({ hostname, port }), events);
    void listener.#acceptAll();
    return listener;
  }

  /** Accepts no more; connections accepted go on. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#pause);
    this.#listener.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #acceptAll(): Promise<void> {
    while (!this.#isClosed) {
      try {
        this.#take(await this.#listener.accept());
      } catch (error) {
        if (this.#isClosed) return;
        this.#events.acceptPaused(error as Error, PAUSE_MS);
        await new Promise<void>((resolve) => this.#pause = setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  #take(conn: Deno.TcpConn): void {
    conn.setNoDelay(true);
    conn.setKeepAlive(true);
    const { hostname, port } = conn.remoteAddr;
    this.#events.connection(
      new ConnStream(conn, { address: hostname.replace(/^::ffff:(?=\d+\.)/i, ""), port }),
    );
  }
}
