import { loadConfiguration } from "../config/load.ts";
import { checkPermissions } from "../config/permissions.ts";
import type { Observer } from "../observe/events.ts";
import { openLog } from "../observe/log.ts";
import { Proxy } from "../proxy.ts";
import type { TokenEvent } from "../token/token_event.ts";
import { TokenVerifier } from "../token/token_verifier.ts";

/** What `start` is told. */
export interface StartOptions {
  /** Path of the configuration. */
  readonly config: string;
  /** Serves until this aborts. */
  readonly signal: AbortSignal;
}

/**
 * Serves until told to stop.
 *
 * @throws {ConfigurationError} when the configuration cannot be used
 */
export async function start({ config, signal }: StartOptions): Promise<void> {
  const configuration = await loadConfiguration(config);
  const missing = await checkPermissions(configuration, (descriptor) => Deno.permissions.query(descriptor));
  if (missing !== undefined) throw new StartError(missing);
  using log = openLog(configuration.log);
  await using verifier = await TokenVerifier.create(configuration.issuers, {
    fetch,
    now: Date.now,
    baseDirectory: configuration.directory,
    report: (event) => log.observe(proxyEventOf(event)),
  });
  const problems = await verifier.probe();
  if (problems.length > 0) {
    throw new StartError(problems.map(({ issuer, message }) => `issuer "${issuer}": ${message}`).join("\n"));
  }
  await using _proxy = await Proxy.open({
    configuration,
    verifyToken: (token) => verifier.verify(token),
    observe: log.observe,
  });
  await untilAborted(signal);
}

/** Why the program cannot start: one sentence a line. */
export class StartError extends Error {
  override readonly name = "StartError";
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function proxyEventOf(event: TokenEvent): Parameters<Observer>[0] {
  switch (event.kind) {
    case "key_set_changed":
      return { kind: "issuer_keys_changed", issuer: event.issuer, keys: event.keys };
    case "key_set_failed":
      return { kind: "issuer_fetch_failed", issuer: event.issuer, reason: event.problem };
    case "key_skipped":
      return {
        kind: "issuer_fetch_failed",
        issuer: event.issuer,
        reason: `key ${event.index} ${event.reason}`,
      };
  }
}
