import { checkPermissions } from "../config/permissions.ts";
import { ConfigurationError } from "../config/problem.ts";
import type { Configuration } from "../config/configuration.ts";
import { type ConfigurationSource, loadConfiguration, THIS_MACHINE } from "../config/load.ts";
import { type Network, parseNetwork } from "../network.ts";
import type { IssuerSettings } from "../token/schema.ts";
import type { IssuerProblem, TokenEvent } from "../token/token_event.ts";
import type { TokenVerifier } from "../token/token_verifier.ts";
import { checkBackends, warningsOfBackends } from "./check_backends.ts";
import { checkCertificates } from "./check_certificates.ts";
import { checkIssuers } from "./check_issuers.ts";
import { type Finding, plural } from "./finding.ts";
import { openVerifier } from "./load.ts";

/** What `check` is told. */
export interface CheckOptions {
  readonly source: ConfigurationSource;
  /** Whether backends are logged in to. */
  readonly connects: boolean;
}

/** Everything about a configuration that can be known without serving it; what is wrong is in it too. Never rejects for that. */
export async function check({ source, connects }: CheckOptions): Promise<readonly Finding[]> {
  const { configuration, findings } = await loadAndAsk(source);
  if (configuration === undefined) return findings;
  const certificates = await checkCertificates(configuration, {
    nowMs: Date.now(),
    readTextFile: THIS_MACHINE.readTextFile,
  });
  return [
    ...findings,
    ...warningsOfListeners(configuration),
    ...certificates,
    ...warningsOfBackends(configuration),
    ...(connects ? await checkBackends(configuration) : notTried(configuration)),
    await findingOfPermissions(configuration),
  ];
}

interface Asked {
  readonly issuers: readonly IssuerSettings[];
  readonly verifier: TokenVerifier | undefined;
  readonly problems: readonly IssuerProblem[];
}

/** Loads the configuration while its issuers are asked; undefined if it has other mistakes than theirs. */
async function loadAndAsk(source: ConfigurationSource) {
  const events: TokenEvent[] = [];
  let asked: Asked = { issuers: [], verifier: undefined, problems: [] };
  const checkIssuersOnce = async (
    issuers: readonly IssuerSettings[],
    about: { readonly baseDirectory: string },
  ) => {
    const report = (event: TokenEvent) => void events.push(event);
    const { verifier, problems } = await openVerifier(issuers, { ...about, fetch, now: Date.now, report });
    const probed = verifier === undefined
      ? []
      : [...await verifier.probe(), ...await verifier.probeValidators()];
    asked = { issuers, verifier, problems: [...problems, ...probed] };
    return asked.problems;
  };
  try {
    const outside = { ...THIS_MACHINE, checkIssuers: checkIssuersOnce };
    const configuration = await loadConfiguration(source, outside);
    const findings = [findingOfFile(configuration), ...checkIssuers(asked.issuers, { ...asked, events })];
    return { configuration, findings };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const findings = [...findingsOfMistakes(error), ...checkIssuers(asked.issuers, { ...asked, events })];
    // Where only issuers are at fault the rest can be looked at all the same.
    const configuration = await loadConfiguration(source).catch(() => undefined);
    return { configuration, findings };
  } finally {
    await asked.verifier?.close();
  }
}

function findingOfFile({ path, issuers, backends, policy }: Configuration): Finding {
  const counts = [
    plural(issuers.length, "issuer"),
    plural(backends.size, "backend"),
    plural(policy.rules.length, "rule"),
  ].join(", ");
  return { what: "configuration", state: "ok", detail: `${path ?? "the command line"}: ${counts}` };
}

function findingsOfMistakes({ message }: ConfigurationError): readonly Finding[] {
  return message.split("\n").map((detail) => ({ what: "configuration", state: "fault", detail }));
}

function warningsOfListeners({ listen, admin }: Configuration): readonly Finding[] {
  const warning = (what: string, detail: string): Finding => ({ what, state: "warning", detail });
  const everybody = ["0.0.0.0/0", "::/0"].filter((network) => isAmong(network, listen.proxy_protocol));
  return [
    ...everybody.map((network) =>
      warning(
        "listen",
        `proxy_protocol has ${network}: whoever reaches the proxy can say that they come from anywhere`,
      )
    ),
    ...(listen.insecure_plaintext
      ? [warning("listen", "insecure_plaintext: clients may log in outside TLS, with their tokens in clear")]
      : []),
    ...(admin.insecure_plaintext
      ? [warning("admin", "insecure_plaintext: metrics can be read on their way to other machines")]
      : []),
  ];
}

function isAmong(text: string, networks: readonly Network[]): boolean {
  const { family, hostBits } = parseNetwork(text);
  return networks.some((network) => network.family === family && network.hostBits === hostBits);
}

function notTried({ backends }: Configuration): readonly Finding[] {
  return [...backends.keys()].map((name) => ({
    what: `backend ${name}`,
    state: "skipped",
    detail: "not tried: --connect logs in there",
  }));
}

async function findingOfPermissions(configuration: Configuration): Promise<Finding> {
  const missing = await checkPermissions(configuration, (descriptor) => Deno.permissions.query(descriptor));
  if (missing !== undefined) return { what: "permissions", state: "fault", detail: missing };
  return { what: "permissions", state: "ok", detail: "Deno permits all that the configuration needs" };
}
