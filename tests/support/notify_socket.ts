/** The socket of a service manager, and what programs say to it. */
export class NotifySocket implements Disposable {
  readonly #socket: Deno.DatagramConn;
  #isClosed = false;

  /** `path`: a path, or an abstract name behind a zero byte. */
  constructor(path: string) {
    this.#socket = Deno.listenDatagram({ transport: "unixpacket", path });
  }

  /** The next thing that is said, within ten seconds. */
  async next(): Promise<string> {
    const timer = setTimeout(() => this[Symbol.dispose](), 10_000);
    const [bytes] = await this.#socket.receive();
    clearTimeout(timer);
    return new TextDecoder().decode(bytes);
  }

  [Symbol.dispose](): void {
    if (!this.#isClosed) this.#socket.close();
    this.#isClosed = true;
  }
}
