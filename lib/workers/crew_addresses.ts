import { formatAddress } from "../address.ts";
import type { ListenAddress } from "../listen_address.ts";

/** Where all workers listen, and on which ports: one port each, though every worker has a listener of its own there. */
export class CrewAddresses {
  #wanted: readonly ListenAddress[];
  #ports: ReadonlyMap<string, number> = new Map();

  /** `wanted` are the addresses as the configuration has them. */
  constructor(wanted: readonly ListenAddress[]) {
    this.#wanted = wanted;
  }

  /** Where clients come in: the ports the system chose, where it was asked to. */
  get actual(): readonly ListenAddress[] {
    return this.#wanted.map((address) => this.#actual(address));
  }

  /** By address, as the configuration has it; those that a worker has found. */
  get ports(): ReadonlyMap<string, number> {
    return this.#ports;
  }

  /** A worker has found these: what one of before has found stays. */
  found(ports: ReadonlyMap<string, number>): void {
    this.#ports = new Map([...ports, ...this.#ports]);
  }

  /**
   * Goes on by another configuration's; of addresses that it has no more the ports are forgotten.
   *
   * @returns those that are listened on anew
   */
  adopt(wanted: readonly ListenAddress[], ports: ReadonlyMap<string, number>): readonly ListenAddress[] {
    const before = this.#ports;
    const names = new Set(wanted.map(nameOf));
    this.#wanted = wanted;
    this.#ports = new Map([...ports].filter(([name]) => names.has(name)));
    const isNew = (name: string) => this.#ports.has(name) && !before.has(name);
    return wanted.filter((address) => isNew(nameOf(address))).map((address) => this.#actual(address));
  }

  #actual(address: ListenAddress): ListenAddress {
    return { ...address, port: this.#ports.get(nameOf(address)) ?? address.port };
  }
}

/** An address as the configuration has it. */
function nameOf({ host, port }: ListenAddress): string {
  return formatAddress(host, port);
}
