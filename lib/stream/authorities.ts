import { X509Certificate } from "node:crypto";
import { certificatesIn } from "../pem.ts";
import type { TlsDetails } from "./byte_stream.ts";

/** So few are read in no time. */
const FEW = 4;

/**
 * The authorities by whom backends are known.
 *
 * Deno 2.9.6 reads all of them anew for each connection, a tenth of a millisecond each, while everybody else waits: of a
 * cloud's hundred that is more than the whole login. So where they are many, a host that has shown its certificate once is
 * checked by those alone that could have signed what it showed. They are never others than those that were given.
 */
export class Authorities {
  readonly #pem: string;
  readonly #bySubject = new Map<string, string[]>();
  /** PEM of those that a host's certificates have depended on. */
  readonly #likely = new Map<string, Set<string>>();
  /** Hosts that were not found good by those. */
  readonly #doubted = new Set<string>();

  constructor(pem: string) {
    this.#pem = pem;
    const certificates = certificatesIn(pem);
    if (certificates.length <= FEW) return;
    for (const certificate of certificates) {
      const { subject } = new X509Certificate(certificate);
      this.#bySubject.set(subject, [...this.#bySubject.get(subject) ?? [], certificate]);
    }
  }

  /** PEM of those that this host's certificate is to be checked by. */
  pemFor(host: string): string {
    const likely = this.#likely.get(host);
    return likely === undefined || this.#doubted.has(host) ? this.#pem : [...likely].join("\n");
  }

  /** Notes what a host has shown that was found good. */
  accepted(host: string, { peerCertificate, peerIntermediates }: TlsDetails): void {
    if (this.#bySubject.size === 0 || peerCertificate === null) return;
    const before = this.#likely.get(host);
    if (before !== undefined && !this.#doubted.delete(host)) return;
    const issuers = [peerCertificate, ...peerIntermediates].map((der) => new X509Certificate(der).issuer);
    const likely = issuers.flatMap((issuer) => this.#bySubject.get(issuer) ?? []);
    // Behind one name there may be servers of several authorities, which come in turn.
    if (likely.length > 0) this.#likely.set(host, new Set([...before ?? [], ...likely]));
  }

  /**
   * Notes that what a host has shown now was not found good by `pem`; all are asked until it is.
   *
   * @returns whether others were left: then it may be good all the same, as where a backend has changed its authority
   */
  refused(host: string, pem: string): boolean {
    if (pem === this.#pem) return false;
    this.#doubted.add(host);
    return true;
  }
}
