import type { Observer } from "../observe/events.ts";
import type { Configuration } from "../config/configuration.ts";
import type { ConfigurationSource } from "../config/load.ts";
import { LineWriter } from "../observe/line_writer.ts";
import { type Log, openLog } from "../observe/log.ts";
import { tellAll } from "../observe/observers.ts";
import { openTraces } from "../observe/traces.ts";
import { CannotServe } from "../listening.ts";
import { load, StartError } from "./load.ts";
import { Service } from "./service.ts";

/** What `start` is told. */
export interface StartOptions {
  /** Where the configuration comes from. */
  readonly source: ConfigurationSource;
  /** Serves until this aborts. */
  readonly signal: AbortSignal;
  /** Is handed what loads the configuration anew; it may be called at any time. */
  readonly onReload: (reload: () => void) => void;
}

/**
 * Serves until told to stop.
 *
 * @throws {ConfigurationError} when the configuration cannot be used, with all that is wrong with it
 * @throws {StartError} when this machine does not let it: a permission is missing, an address is taken
 */
export async function start({ source, signal, onReload }: StartOptions): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const lines = resources.use(new LineWriter(Deno.stderr));
  let log: Log | undefined;
  resources.defer(() => log?.[Symbol.dispose]());
  const traces = openTraces();
  const observerOf = (configuration: Configuration): Observer => {
    log = openLog(configuration.log, (line) => lines.write(line));
    if (traces === undefined) return log.observe;
    return tellAll([log.observe, traces], (error) => lines.write(`${error}\n`));
  };
  const opening = openService(source, observerOf);
  // The file may have changed again since it was read: who asks for it while we begin gets it when we have begun.
  onReload(() => void opening.then((service) => service.reload()).catch(() => {}));
  // An issuer may be slow to answer, and a file may be a pipe that nobody writes to.
  const service = await Promise.race([opening, untilAborted(signal)]);
  if (service === undefined) return;
  resources.use(service);
  await untilAborted(signal);
}

async function openService(
  source: ConfigurationSource,
  observerOf: (configuration: Configuration) => Observer,
): Promise<Service> {
  try {
    return await Service.open({ load: (report) => load(source, report), observerOf });
  } catch (error) {
    throw error instanceof CannotServe ? new StartError(error.message) : error;
  }
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
