import { formatAddress } from "./address.ts";
import type { Configuration } from "./config/configuration.ts";
import type { ListenAddress } from "./listen_address.ts";
import { CannotServe, makeSureIsFree, openListener } from "./listening.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import { ConnListener } from "./stream/conn_listener.ts";
import { Listener } from "./stream/listener.ts";

/** What listeners tell their proxy. */
export interface ListenersEvents {
  /** Somebody has come in by `listener`, the address as the configuration has it. */
  readonly connection: (stream: ByteStream, listener: string) => void;
  readonly acceptPaused: (error: Error, pauseMs: number) => void;
  readonly listening: (address: ListenAddress, isTlsOffered: boolean) => void;
}

/** How several proxies of one program listen on the same addresses: the system gives each its share of the clients. */
export interface Sharing {
  /** It is the first of them, and makes sure that no other program listens there. */
  readonly isFirst: boolean;
  /** What the system has chosen for the first, by address, where the configuration leaves the port to it. */
  readonly ports: ReadonlyMap<string, number>;
}

/** Listeners that another configuration wants, besides those that there are. */
export interface PreparedListeners {
  /** Each address that is new, as the configuration has it, and its port. */
  readonly ports: ReadonlyMap<string, number>;
  /** Lets in who has come meanwhile, and closes what is not wanted any more; once the listeners are closed, as {@link discard}. */
  adopt(): void;
  /** Closes what was opened: all is as it was. */
  discard(): void;
}

/** The listeners of a proxy. A reload leaves those whose address has not changed as they are: nobody in their queue is lost. */
export class Listeners {
  readonly #events: ListenersEvents;
  #doors: readonly Door[] = [];
  #isClosed = false;

  constructor(events: ListenersEvents) {
    this.#events = events;
  }

  /** Where clients come in: the ports the system chose, where it was asked to. */
  get addresses(): readonly ListenAddress[] {
    return this.#doors.map(({ listener }) => listener.address);
  }

  /** The port of each address, as the configuration has it. */
  get ports(): ReadonlyMap<string, number> {
    return portsOf(this.#doors);
  }

  /**
   * Begins to listen where a configuration wants it, and lets nobody in as yet.
   *
   * @throws {CannotServe} when an address cannot be listened on; then everything is as it was
   */
  async prepare({ address, tls }: Configuration["listen"], sharing?: Sharing): Promise<PreparedListeners> {
    const isTlsOffered = tls !== undefined;
    const [kept, unwanted, missing] = this.#compare([address].flat());
    if (isTlsOffered && kept.some(({ listener }) => listener instanceof ConnListener)) throw tlsAdded();
    const opened: Door[] = [];
    const discard = () => opened.forEach((door) => door.close());
    try {
      for (const wanted of missing) opened.push(await this.#open(wanted, { isTlsOffered, sharing }));
      if (this.#isClosed) throw new CannotServe("the proxy is shutting down");
    } catch (error) {
      discard();
      throw error;
    }
    const adopt = () => {
      // Closed since, as by a drain that has begun meanwhile: a door opened now nobody would close.
      if (this.#isClosed) return discard();
      for (const door of unwanted) door.close();
      this.#doors = [...kept, ...opened];
      for (const door of opened) {
        this.#events.listening(door.listener.address, isTlsOffered);
        door.open();
      }
    };
    return { ports: portsOf(opened), adopt, discard };
  }

  /** Accepts no more; connections accepted go on. */
  close(): void {
    this.#isClosed = true;
    for (const door of this.#doors) door.close();
    this.#doors = [];
  }

  /** Which doors stay, which go, and which addresses have none yet. */
  #compare(addresses: readonly ListenAddress[]): readonly [Door[], Door[], ListenAddress[]] {
    const left = [...this.#doors];
    const kept: Door[] = [];
    const missing: ListenAddress[] = [];
    for (const address of addresses) {
      const at = left.findIndex(({ name }) => name === nameOf(address));
      if (at < 0) missing.push(address);
      else kept.push(...left.splice(at, 1));
    }
    return [kept, left, missing];
  }

  async #open(
    wanted: ListenAddress,
    { isTlsOffered, sharing }: { readonly isTlsOffered: boolean; readonly sharing?: Sharing },
  ): Promise<Door> {
    const door = new Door(nameOf(wanted), this.#events.connection);
    const address = { ...wanted, port: sharing?.ports.get(door.name) ?? wanted.port };
    const events = {
      connection: (stream: ByteStream) => door.enter(stream),
      acceptPaused: this.#events.acceptPaused,
    };
    try {
      if (sharing?.isFirst) makeSureIsFree(address);
      const kind = isTlsOffered ? Listener : ConnListener;
      door.listener = await openListener(kind, { address, events, isShared: sharing !== undefined });
      return door;
    } catch (error) {
      throw this.#doors.some(({ listener }) => overlap(listener.address, address))
        ? overlapping(address)
        : error;
    }
  }
}

/** One listener. Who comes in before it is open waits. */
class Door {
  readonly name: string;
  readonly #connection: ListenersEvents["connection"];
  #waiting: ByteStream[] | null = [];
  listener!: Listener | ConnListener;

  constructor(name: string, connection: ListenersEvents["connection"]) {
    this.name = name;
    this.#connection = connection;
  }

  enter(stream: ByteStream): void {
    if (this.#waiting === null) this.#connection(stream, this.name);
    else this.#waiting.push(stream);
  }

  open(): void {
    const waiting = this.#waiting!;
    this.#waiting = null;
    for (const stream of waiting) this.#connection(stream, this.name);
  }

  close(): void {
    this.listener.close();
    for (const stream of this.#waiting ?? []) stream.destroy();
  }
}

function portsOf(doors: readonly Door[]): ReadonlyMap<string, number> {
  return new Map(doors.map(({ name, listener }) => [name, listener.address.port]));
}

function nameOf({ host, port }: ListenAddress): string {
  return formatAddress(host, port);
}

const EVERY_ADDRESS = ["0.0.0.0", "::"];

/** Whether both cannot be listened on at once, though they are not the same. */
function overlap(one: ListenAddress, other: ListenAddress): boolean {
  return one.port === other.port && [one.host, other.host].some((host) => EVERY_ADDRESS.includes(host));
}

function overlapping(address: ListenAddress): CannotServe {
  return new CannotServe(
    `listen.address has changed to ${
      nameOf(address)
    }, which overlaps with what is listened on now and takes a restart:` +
      " end the program and start it again, or choose another port",
  );
}

/** Clients of a listener without TLS come in by another kind of socket. */
function tlsAdded(): CannotServe {
  return new CannotServe(
    "listen.certificate has been added, which takes a restart: end the program and start it again, or choose another" +
      " address",
  );
}
