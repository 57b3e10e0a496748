import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { formatAddress } from "../address.ts";
import type { Configuration } from "../config/configuration.ts";
import { reasonOf } from "../config/named_file.ts";
import { parseIpAddress } from "../network.ts";
import { StartError } from "./load.ts";

/** What was said of who asks for a login, as it was said. */
export interface Asked {
  /** Without it, the first that a rule lets in. */
  readonly user?: string;
  readonly database?: string;
  /** One of `listen.address`; without it, the first. */
  readonly listener?: string;
  readonly serverName?: string;
  /** IP address; without it, this machine's own. */
  readonly clientAddress?: string;
  /** Path of the certificate that the client shows in TLS. */
  readonly clientCertificate?: string;
}

/** Who asks, with defaults for what was not said. */
export interface Asking {
  readonly user?: string;
  readonly database?: string;
  readonly listener: string;
  readonly serverName: string | null;
  readonly clientAddress: string;
  /** DER. */
  readonly clientCertificate: Uint8Array | null;
}

/**
 * What was said of who asks, and defaults for the rest.
 *
 * @throws {StartError} when what was said cannot be so
 */
export async function askingOf(options: Asked, { listen }: Configuration): Promise<Asking> {
  const addresses = [listen.address].flat().map(({ host, port }) => formatAddress(host, port));
  const { user, database, listener = addresses[0], serverName = null, clientAddress = "127.0.0.1" } = options;
  if (!addresses.includes(listener)) {
    throw new StartError(`--listener must be one of listen.address: there is ${addresses.join(", ")}`);
  }
  if (parseIpAddress(clientAddress) === undefined) {
    throw new StartError("--client-address must be an IP address");
  }
  const clientCertificate = await readCertificate(options.clientCertificate);
  return { user, database, listener, serverName, clientAddress, clientCertificate };
}

/** The certificate in DER, if there is one. */
async function readCertificate(path: string | undefined): Promise<Uint8Array | null> {
  if (path === undefined) return null;
  const named = `--client-certificate names ${path}`;
  let pem: string;
  try {
    pem = await Deno.readTextFile(path);
  } catch (error) {
    throw new StartError(`${named}, ${reasonOf(error, `--allow-read=${resolve(path)}`)}`);
  }
  try {
    return new X509Certificate(pem).raw;
  } catch {
    throw new StartError(`${named}, which holds no certificate in PEM form`);
  }
}
