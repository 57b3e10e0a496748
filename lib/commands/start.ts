import type { Configuration } from "../config/configuration.ts";
import { loadConfiguration, THIS_MACHINE } from "../config/load.ts";
import { checkPermissions } from "../config/permissions.ts";
import type { Observer } from "../observe/events.ts";
import { LineWriter } from "../observe/line_writer.ts";
import { openLog } from "../observe/log.ts";
import { CannotServe, Proxy } from "../proxy.ts";
import type { IssuerSettings } from "../token/schema.ts";
import { type IssuerProblem, IssuersMisconfigured, type TokenEvent } from "../token/token_event.ts";
import { TokenVerifier, type TokenVerifierOutside } from "../token/token_verifier.ts";

/** What `start` is told. */
export interface StartOptions {
  /** Path of the configuration. */
  readonly config: string;
  /** Serves until this aborts. */
  readonly signal: AbortSignal;
}

/** Why the program cannot start, one sentence a line. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/**
 * Serves until told to stop.
 *
 * @throws {ConfigurationError} when the configuration cannot be used, with all that is wrong with it
 * @throws {StartError} when this machine does not let it: a permission is missing, an address is taken
 */
export async function start({ config, signal }: StartOptions): Promise<void> {
  // Until the log is open nothing happens that a problem does not tell as well.
  let observe: Observer = () => {};
  let verifier: TokenVerifier | undefined;
  await using resources = new AsyncDisposableStack();
  const loading = loadConfiguration(config, {
    ...THIS_MACHINE,
    checkIssuers: async (issuers, about) => {
      const outside = {
        ...about,
        fetch,
        now: Date.now,
        report: (event: TokenEvent) => observe(proxyEventOf(event)),
      };
      const opened = await openVerifier(issuers, outside);
      verifier = opened.verifier && resources.use(opened.verifier);
      return [...opened.problems, ...await verifier?.probe() ?? []];
    },
  });
  // An issuer may be slow to answer, and a file may be a pipe that nobody writes to.
  const configuration = await Promise.race([loading, untilAborted(signal)]);
  if (configuration === undefined) return;
  const missing = await checkPermissions(configuration, (descriptor) => Deno.permissions.query(descriptor));
  if (missing !== undefined) throw new StartError(missing);
  const lines = resources.use(new LineWriter(Deno.stderr));
  const log = resources.use(openLog(configuration.log, (line) => lines.write(line)));
  observe = log.observe;
  resources.use(await openProxy(configuration, { verifier: verifier!, observe }));
  await untilAborted(signal);
}

/** A verifier for those issuers that can be had, and what is wrong with the others. */
async function openVerifier(
  issuers: readonly IssuerSettings[],
  outside: TokenVerifierOutside,
): Promise<{ readonly verifier?: TokenVerifier; readonly problems: readonly IssuerProblem[] }> {
  try {
    return { verifier: await TokenVerifier.create(issuers, outside), problems: [] };
  } catch (error) {
    if (!(error instanceof IssuersMisconfigured)) throw error;
    const { problems } = error;
    const others = issuers.filter(({ name }) => !problems.some(({ issuer }) => issuer === name));
    const opened = others.length < issuers.length ? await openVerifier(others, outside) : { problems: [] };
    return { ...opened, problems: [...problems, ...opened.problems] };
  }
}

async function openProxy(
  configuration: Configuration,
  { verifier, observe }: { verifier: TokenVerifier; observe: Observer },
): Promise<Proxy> {
  try {
    return await Proxy.open({ configuration, observe, tokens: verifier });
  } catch (error) {
    throw error instanceof CannotServe ? new StartError(error.message) : error;
  }
}

function proxyEventOf(event: TokenEvent): Parameters<Observer>[0] {
  const { kind, issuer } = event;
  switch (kind) {
    case "key_set_changed":
      return { kind: "issuer_keys_changed", issuer, keys: event.keys };
    case "key_set_failed":
      return { kind: "issuer_fetch_failed", issuer, reason: event.problem };
    case "key_skipped":
      return { kind: "issuer_key_skipped", issuer, index: event.index, reason: event.reason };
    case "introspection_refused":
      return { kind: "issuer_refused_proxy", issuer, reason: event.problem };
    case "introspection_stopped":
      return { kind: "issuer_introspection_stopped", issuer, reason: event.problem };
    case "introspection_resumed":
      return { kind: "issuer_introspection_resumed", issuer };
    case "deny_list_changed":
      return event;
    case "deny_list_failed":
      return { kind, issuer, reason: event.problem };
    case "validator_said":
      return event;
    case "validator_restarting":
      return { kind, issuer, reason: event.problem, delayMs: event.delayMs };
  }
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
