import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import { certificatesIn } from "../pem.ts";
import { createServerCertificate } from "../stream/server_certificate.ts";
import { type Finding, plural, type State } from "./finding.ts";

const DAY_MS = 86_400_000;

/** Whoever has to renew a certificate wants to hear of it this long before. */
const WARNING_DAYS = 30;

/** The certificates of a configuration: whose they are, and until when. That each has its key was made sure of before. */
export async function checkCertificates(
  configuration: Configuration,
  { nowMs, readTextFile }: {
    /** Milliseconds since 1970. */
    readonly nowMs: number;
    readonly readTextFile: (path: string) => Promise<string>;
  },
): Promise<readonly Finding[]> {
  const { listen, admin, backends, issuers, directory } = configuration;
  const findings: Finding[] = [];
  const own = (what: string, pem: string | undefined) =>
    findings.push(...pem === undefined ? [] : findingsOfChain(what, { pem, nowMs }));
  const trusted = (what: string, pem: string | undefined) =>
    findings.push(...pem === undefined ? [] : [findingOfAuthorities(what, { pem, nowMs })]);
  findings.push(...findingsOfTls(configuration));
  own("listen.certificate", listen.tls?.certificates);
  trusted("listen.client_ca", listen.clientAuthorities);
  own("admin.certificate", admin.tls?.certificates);
  for (const { name, introspection } of issuers) {
    const path = introspection?.certificate;
    if (path !== undefined) {
      own(`issuer ${name}, introspection.certificate`, await readTextFile(resolve(directory, path)));
    }
  }
  for (const { name, clientIdentity, trustedCertificates } of backends.values()) {
    own(`backend ${name}, sslcert`, clientIdentity?.certificates);
    trusted(`backend ${name}, sslrootcert`, trustedCertificates);
  }
  return findings;
}

/** A key may belong to its certificate and still be of a kind that TLS has no use for. */
function findingsOfTls(
  { listen: { tls, minimum_tls_version: minimumTlsVersion } }: Configuration,
): Finding[] {
  if (tls === undefined) return [];
  const { certificates: certificatePem, privateKey } = tls;
  try {
    createServerCertificate({ certificatePem, privateKeyPem: privateKey.reveal(), minimumTlsVersion });
    return [];
  } catch (error) {
    const detail = `cannot be used for TLS: ${(error as Error).message}`;
    return [{ what: "listen.certificate", state: "fault", detail }];
  }
}

interface Pem {
  readonly pem: string;
  readonly nowMs: number;
}

/** A certificate of ours and its chain: every link of it has to hold. */
function findingsOfChain(what: string, { pem, nowMs }: Pem): Finding[] {
  return readCertificates(pem).map((certificate, index) => {
    const { state, says } = validityOf(certificate, nowMs);
    const names = index > 0 ? "" : `, ${namesOf(certificate)}, its key fits`;
    const place = index > 0 ? `${what}, link ${index + 1}` : what;
    return { what: place, state, detail: `${subjectOf(certificate)}${names}, ${says}` };
  });
}

/** Authorities that are trusted: one that is over harms nobody as long as there are others. */
function findingOfAuthorities(what: string, { pem, nowMs }: Pem): Finding {
  const all = readCertificates(pem).map((certificate) => ({
    certificate,
    ...validityOf(certificate, nowMs),
  }));
  const faults = all.filter(({ state }) => state === "fault");
  const worst = faults[0] ?? all.find(({ state }) => state === "warning") ?? all[0];
  const state = faults.length > 0 && faults.length < all.length ? "warning" : worst.state;
  const number = plural(all.length, "certificate");
  return { what, state, detail: `${number}: ${subjectOf(worst.certificate)}, ${worst.says}` };
}

function readCertificates(pem: string): X509Certificate[] {
  return certificatesIn(pem).map((block) => new X509Certificate(block));
}

function validityOf(
  { validFromDate, validToDate }: X509Certificate,
  nowMs: number,
): { readonly state: State; readonly says: string } {
  const day = (date: Date) => date.toISOString().slice(0, 10);
  if (nowMs < validFromDate.getTime()) {
    return { state: "fault", says: `not valid before ${day(validFromDate)}` };
  }
  if (nowMs > validToDate.getTime()) {
    return { state: "fault", says: `expired on ${day(validToDate)}: renew it` };
  }
  const days = Math.floor((validToDate.getTime() - nowMs) / DAY_MS);
  const says = `expires on ${day(validToDate)}, in ${plural(days, "day")}`;
  return days < WARNING_DAYS ? { state: "warning", says: `${says}: renew it` } : { state: "ok", says };
}

function subjectOf({ subject, serialNumber }: X509Certificate): string {
  return subject?.replaceAll("\n", ", ") || `serial ${serialNumber}`;
}

/** The names a client may call us by. */
function namesOf({ subjectAltName }: X509Certificate): string {
  if (subjectAltName === undefined || subjectAltName === "") return "for no host by name";
  return `for ${subjectAltName.replaceAll(/\b(?:DNS|IP Address):/g, "")}`;
}
