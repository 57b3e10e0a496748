import type { Place } from "./toml_document.ts";

/**
 * What the command line says in the configuration's place: the flags of the program's Go ancestor by their names, and two
 * more. Paths are relative to the working directory.
 */
export interface Flags {
  /** Path of a backends file: JSON, from identities or /expressions/ to URLs. */
  readonly backends?: string;
  /** `address:port`; `:port` is every address of the machine. */
  readonly bindAddr?: string;
  /** Path of a PEM file with the certificate and its chain. */
  readonly bindCert?: string;
  /** Path of a PEM file with the certificate's key. */
  readonly bindKey?: string;
  /** How long sessions may take to become idle, in milliseconds. */
  readonly gracePeriod?: number;
  /** Whether clients may log in outside TLS. */
  readonly insecure?: boolean;
  /** The claim that says who the client is. */
  readonly jwtField?: string;
  /** `address:port`, as of `bindAddr`. */
  readonly metricsAddr?: string;
  /** URL of a discovery document, or of the issuer that has one. */
  readonly oidcDiscovery?: string;
  /** How often the configuration is loaded anew, in milliseconds; 0: never. */
  readonly refresh?: number;
  /** Whether backends are told the client's address. */
  readonly reportRemoteAddr?: boolean;
  /** Paths of PEM public keys or certificates. */
  readonly signingKeys?: readonly string[];
  /** One of these must be in the tokens' aud. */
  readonly audience?: readonly string[];
  /** The tokens' iss. */
  readonly issuer?: string;
  /** Path of the log. */
  readonly logDestination?: string;
  readonly logFormat?: string;
  /** How many times it was given. */
  readonly verbose?: number;
}

/** The name of a flag as it is typed. */
export function nameOfFlag(flag: keyof Flags): string {
  return `--${flag}`;
}

/** Where a key came from that a flag has set. */
export function placeOfFlag(flag: keyof Flags): Place {
  return { file: "", name: nameOfFlag(flag) };
}
