import { X509Certificate } from "node:crypto";
import type { Configuration } from "../config/configuration.ts";
import type { Census, CertificateStanding } from "../observe/census.ts";
import { certificatesIn } from "../pem.ts";
import type { Serving } from "../workers/serving.ts";
import type { Loaded } from "./load.ts";

/** What is so at this moment of all that serves. */
export async function censusOf(serving: Serving, { configuration, verifier }: Loaded): Promise<Census> {
  const connections = await serving.census();
  return { ...connections, keySets: verifier.keySets(), certificates: certificatesOf(configuration) };
}

/** Read once: a certificate takes longer to read than all the rest, and a configuration never changes. */
const READ = new WeakMap<Configuration, readonly CertificateStanding[]>();

function certificatesOf(configuration: Configuration): readonly CertificateStanding[] {
  const known = READ.get(configuration);
  if (known !== undefined) return known;
  const certificates = [
    ...standingOf("listen.certificate", configuration.listen.tls?.certificates),
    ...standingOf("admin.certificate", configuration.admin.tls?.certificates),
    ...[...configuration.backends.values()].flatMap(({ name, clientIdentity }) =>
      standingOf(`backends.${name}`, clientIdentity?.certificates)
    ),
  ];
  READ.set(configuration, certificates);
  return certificates;
}

function standingOf(certificate: string, chainPem = ""): CertificateStanding[] {
  const ends = certificatesIn(chainPem).map((pem) => new X509Certificate(pem).validToDate);
  if (ends.length === 0) return [];
  return [{ certificate, expiresAtMs: Math.min(...ends.map((end) => end.getTime())) }];
}
