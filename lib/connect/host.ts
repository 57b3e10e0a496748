import { formatAddress } from "../address.ts";
import { TargetError } from "./connection_uri.ts";

/** Where a backend listens. */
export type Host =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | {
    readonly kind: "unix"; /** The socket itself, as `/run/postgresql/.s.PGSQL.5432`. */
    readonly path: string;
  };

const DEFAULT_PORT = 5432;
const HOST_NAME = /^[\w.-]+$/;
const IPV6_ADDRESS = /^[0-9a-fA-F]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*(%[\w.~-]+)?$/;

/**
 * Pairs hosts with ports as libpq does: as many ports as hosts, or one for all.
 *
 * @throws {TargetError} when they do not pair, or one of them is not a host or a port
 */
export function parseHosts(hosts: readonly string[], ports: readonly string[]): Host[] {
  if (ports.length !== 1 && ports.length !== hosts.length) {
    throw new TargetError("the URL must have one port, or as many as it has hosts");
  }
  return hosts.map((host, index) => parseHost(host, parsePort(ports.length === 1 ? ports[0] : ports[index])));
}

/** A host as logs and reasons show it: `db1:5432`, `[::1]:5432` or a path. */
export function formatHost(host: Host): string {
  switch (host.kind) {
    case "unix":
      return host.path;
    case "tcp":
      return formatAddress(host.host, host.port);
  }
}

/** Whether what is sent there stays on this machine. A name that only resolves to a loopback address does not count. */
export function isLocal(host: Host): boolean {
  if (host.kind === "unix") return true;
  return host.host === "localhost" || host.host === "::1" ||
    /^127\.(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){2}$/.test(host.host);
}

function parseHost(host: string, port: number): Host {
  if (host === "") throw new TargetError("the URL must name a host: none is assumed");
  // Where a login goes must not depend on who logs in.
  if (host.includes("\\")) throw new TargetError("the URL's host cannot hold a capture or a backslash");
  if (host.startsWith("/")) return { kind: "unix", path: `${host.replace(/\/+$/, "")}/.s.PGSQL.${port}` };
  if (HOST_NAME.test(host) || IPV6_ADDRESS.test(host)) return { kind: "tcp", host, port };
  throw new TargetError("the URL's host must be a name, an address or a socket's absolute directory");
}

function parsePort(text: string): number {
  if (text === "") return DEFAULT_PORT;
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new TargetError("a port in the URL must be a number from 1 to 65535");
}
