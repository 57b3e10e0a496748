import { X509Certificate } from "node:crypto";
import { inTurns, type LongWork, type Pace } from "../long_work.ts";
import { certificatesIn } from "../pem.ts";
import { type Soon, whenThere } from "../soon.ts";
import type { TlsDetails } from "./byte_stream.ts";

/** So few are read in no time. */
const FEW = 4;

/** What is known of so many bundles is kept: of those that are large, a backend seldom has another than its neighbours. */
const MOST_BUNDLES = 16;

const bundles = new Map<string, Authorities>();

/** The authorities of a PEM file: what is known of the hosts outlasts a reload, as long as the file stays the same. */
export function authoritiesIn(pem: string): Authorities {
  const authorities = bundles.get(pem) ?? new Authorities(pem);
  // Of a few there is nothing to know, and a hundred backends may each have a file of its own with one in it.
  if (!authorities.areMany) return authorities;
  bundles.delete(pem);
  bundles.set(pem, authorities);
  const [oldest] = bundles.keys();
  if (bundles.size > MOST_BUNDLES) bundles.delete(oldest);
  return authorities;
}

/**
 * The authorities by whom backends are known.
 *
 * Deno 2.9.6 reads all of them anew for each connection, a tenth of a millisecond each, while everybody else waits: of a
 * cloud's hundred that is more than the whole login. So where they are many, a host that has shown its certificate once is
 * checked by those alone that could have signed what it showed. They are never others than those that were given.
 */
export class Authorities {
  readonly #pem: string;
  readonly #pace: Pace;
  readonly #certificates: readonly string[];
  #bySubject: Soon<BySubject> | null = null;
  /** PEM of those that a host's certificates have depended on. */
  readonly #likely = new Map<string, Set<string>>();
  /** Hosts that were not found good by those. */
  readonly #doubted = new Set<string>();

  constructor(pem: string, pace: Pace = inTurns) {
    this.#pem = pem;
    this.#pace = pace;
    this.#certificates = certificatesIn(pem);
  }

  /** So many that not all of them are asked about a host that is known. */
  get areMany(): boolean {
    return this.#certificates.length > FEW;
  }

  /** PEM of those that this host's certificate is to be checked by. */
  pemFor(host: string): string {
    const likely = this.#likely.get(host);
    return likely === undefined || this.#doubted.has(host) ? this.#pem : [...likely].join("\n");
  }

  /** Notes what a host has shown that was found good. */
  accepted(host: string, { peerCertificate, peerIntermediates }: TlsDetails): void {
    if (!this.areMany || peerCertificate === null) return;
    if (this.#likely.has(host) && !this.#doubted.delete(host)) return;
    const issuers = [peerCertificate, ...peerIntermediates].map((der) => nameIn(der, "issuer"));
    this.#bySubject ??= this.#pace(bySubject(this.#certificates));
    whenThere(this.#bySubject, (bySubject) => {
      const likely = issuers.flatMap((issuer) => issuer === null ? [] : bySubject.get(issuer) ?? []);
      // Behind one name there may be servers of several authorities, which come in turn.
      if (likely.length > 0) this.#likely.set(host, new Set([...this.#likely.get(host) ?? [], ...likely]));
    });
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

/** PEM of authorities, by whose they are: several may have one name. */
type BySubject = ReadonlyMap<string, readonly string[]>;

function* bySubject(certificates: readonly string[]): LongWork<BySubject> {
  const found = new Map<string, string[]>();
  for (const certificate of certificates) {
    yield;
    const subject = nameIn(certificate, "subject");
    if (subject !== null) found.set(subject, [...found.get(subject) ?? [], certificate]);
  }
  return found;
}

/** `null` where Deno 2.9.6 cannot read the name: of what is not UTF-8 it throws, as of the TeletexString of an old authority. */
function nameIn(certificate: string | Uint8Array, whose: "subject" | "issuer"): string | null {
  try {
    return new X509Certificate(certificate)[whose] ?? null;
  } catch {
    return null;
  }
}
