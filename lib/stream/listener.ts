import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { clearImmediate, setImmediate } from "node:timers";
import { acceptAgain, BACKLOG } from "../accept_again.ts";
import type { ByteStream } from "./byte_stream.ts";
import { KEEP_ALIVE_MS, NodeStream } from "./node_stream.ts";
import { whenClosed } from "./socket_owner.ts";

/** What a listener tells its owner. */
export interface ListenerEvents {
  readonly connection: (stream: ByteStream) => void;
  /** Accepting failed, for want of file descriptors say: the listener goes on after a pause. */
  readonly acceptPaused: (error: Error, pauseMs: number) => void;
}

/** Where to listen. */
export interface ListenPlace {
  readonly host: string;
  readonly port: number;
  /** Others of this program listen there too: the system gives each its share of the clients (SO_REUSEPORT). */
  readonly isShared?: boolean;
}

/** Time between two attempts to accept again, in milliseconds. */
export const PAUSE_MS = 1000;

/** A TCP port on which clients come in and TLS is offered: `node:net`, whose sockets `node:tls` can go on over. */
export class Listener implements Disposable {
  readonly #server: Server;
  readonly #events: ListenerEvents;
  #look: ReturnType<typeof setImmediate> | undefined;
  #pause: ReturnType<typeof setInterval> | undefined;

  /** Where it listens: the port the system chose, when it was asked for port 0. */
  readonly address: { readonly host: string; readonly port: number };

  private constructor(server: Server, events: ListenerEvents) {
    this.#server = server;
    this.#events = events;
    const { address: host, port } = server.address() as AddressInfo;
    this.address = { host, port };
    server.on("error", (error) => events.acceptPaused(error, PAUSE_MS));
    server.on("connection", (socket: Socket) => this.#take(socket));
  }

  /**
   * Begins to listen.
   *
   * @throws {Error} when the address is taken, not this machine's, or not permitted
   */
  static async open(
    where: ListenPlace,
    events: ListenerEvents,
  ): Promise<Listener> {
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      pauseOnConnect: true,
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      const { port, host, isShared: reusePort } = where;
      server.listen({ port, host, backlog: BACKLOG, reusePort }, resolve);
    });
    server.removeAllListeners("error");
    return new Listener(server, events);
  }

  /** Accepts no more; connections accepted go on. */
  close(): void {
    clearImmediate(this.#look);
    clearInterval(this.#pause);
    this.#server.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(socket: Socket): void {
    whenClosed(socket, this.#acceptAgain);
    // A client may be gone again before it is looked at: then it has no address, and there is nobody to serve.
    if (socket.remoteAddress === undefined || !this.#server.listening) return void socket.destroy();
    // Here, because Deno 2.9 makes nothing of the server's own option.
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#events.connection(new NodeStream(socket));
    // Once for all that come in one turn: in a flood of thousands, to look for each would cost more than to accept them.
    this.#look ??= setImmediate(() => {
      this.#look = undefined;
      this.#pauseIfObstructed();
    });
  }

  /** One for all sockets, each of which keeps it as long as it lives. */
  readonly #acceptAgain = (): void => acceptAgain(this.#server);

  /** Tells when the connection just accepted was the last there is a file descriptor for, and tries again until it is not. */
  #pauseIfObstructed(): void {
    if (this.#pause !== undefined) return;
    const obstacle = obstacleToAccepting(this.address);
    if (obstacle === null) return;
    this.#events.acceptPaused(obstacle, PAUSE_MS);
    this.#pause = setInterval(() => {
      acceptAgain(this.#server);
      if (obstacleToAccepting(this.address) !== null) return;
      clearInterval(this.#pause);
      this.#pause = undefined;
    }, PAUSE_MS);
  }
}

/** @throws {Error} when an address cannot be listened on, by nobody else at the same time */
export function listenForAMoment({ host, port }: { readonly host: string; readonly port: number }): void {
  Deno.listen({ hostname: host, port }).close();
}

/** What the system says when it can open no more sockets. */
const OUT_OF_RESOURCES = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];

/** Why no connection can be accepted now: whether there is a descriptor left shows by asking for an address that we hold. */
function obstacleToAccepting(address: { host: string; port: number }): Error | null {
  try {
    listenForAMoment(address);
  } catch (error) {
    if (OUT_OF_RESOURCES.includes((error as { code?: string }).code ?? "")) return error as Error;
  }
  return null;
}
