import type { Observer, ProxyEvent } from "./events.ts";

/** A socket of datagrams; `Deno.listenDatagram` has no types where it is not switched on. */
interface DatagramSocket {
  send(bytes: Uint8Array, to: UnixAddress): Promise<number>;
  close(): void;
}

interface UnixAddress {
  readonly transport: "unixpacket";
  readonly path: string;
}

/** What a {@link ServiceManager} needs of the world around it. */
export interface ServiceManagerOptions {
  /** `NOTIFY_SOCKET`: a path, or an abstract name with `@` in front; undefined: nobody wants to know. */
  readonly socket: string | undefined;
  /** Is told what could not be told, once. */
  readonly report: (event: ProxyEvent) => void;
}

/**
 * Tells the service manager, systemd, when the proxy is ready and when it is about to end.
 *
 * @see https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  #hasFailed = false;
  #isStopping = false;
  /** Each word behind the one before. */
  #saying: Promise<void> = Promise.resolve();

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
  }

  /** The proxy serves. */
  ready(): void {
    this.#say("READY=1\nSTATUS=Serving");
  }

  /** Tells that the proxy is about to end, and what became of a reload. */
  readonly observe: Observer = (event) => {
    switch (event.kind) {
      case "draining":
        return this.stopping();
      case "reload_failed":
        return this.#say("STATUS=Serving; the configuration could not be reloaded, the old one stays");
      case "configuration_reloaded":
        return this.#say("STATUS=Serving");
    }
  };

  /** The proxy is about to end. */
  stopping(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#say("STOPPING=1\nSTATUS=Draining");
  }

  /** Settles when all has been said. Never rejects. */
  get said(): Promise<void> {
    return this.#saying;
  }

  #say(words: string): void {
    const { socket } = this.#options;
    if (socket === undefined || socket === "") return;
    this.#saying = this.#saying.then(() => send(socket, words)).catch((error) => this.#failed(error));
  }

  #failed(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.report({ kind: "notify_failed", reason: reasonOf(error, this.#options.socket!) });
  }
}

async function send(socket: string, words: string): Promise<void> {
  const { listenDatagram } = Deno as {
    readonly listenDatagram?: (options: UnixAddress) => DatagramSocket;
  };
  if (listenDatagram === undefined) {
    throw new Error("Deno has no sockets of datagrams: start with --unstable-net");
  }
  // Deno cannot send without a name of its own. An abstract one (Linux: a zero byte in front) leaves no file, and needs no
  // directory that a user made for this run alone (DynamicUser=) could write to.
  const own = listenDatagram({
    transport: "unixpacket",
    path: `\0pg-auth-proxy/notify/${Deno.pid}/${crypto.randomUUID()}`,
  });
  try {
    const path = socket.replace(/^@/, "\0");
    await own.send(new TextEncoder().encode(words), { transport: "unixpacket", path });
  } finally {
    own.close();
  }
}

function reasonOf(error: unknown, socket: string): string {
  if (error instanceof Deno.errors.NotCapable) {
    return `Deno does not permit it: start with --allow-net, and with --allow-read and --allow-write for ${socket}`;
  }
  return error instanceof Error ? error.message : String(error);
}
