// The room `commands/`: what a person can ask of the program, one file each, and what keeps it running.
// In: where the configuration comes from, and the signals of whoever runs the program. Out: text, or a proxy that serves.
// Chapter: the command line; https://www.postgresql.org/docs/18/server-shutdown.html has another drain by signals

import type { ConfigurationSource } from "../config/load.ts";
import { CannotServe } from "../listening.ts";
import { load, StartError } from "./load.ts";
import { Observation } from "./observation.ts";
import { Service } from "./service.ts";

/** What `start` is told. */
export interface StartOptions {
  /** Where the configuration comes from. */
  readonly source: ConfigurationSource;
  /** Serves until this aborts, and is then drained. */
  readonly signal: AbortSignal;
  /** Aborts when whoever ends it has no more patience. */
  readonly now: AbortSignal;
  /** Is handed what loads the configuration anew; it may be called at any time. */
  readonly onReload: (reload: () => void) => void;
}

/**
 * Serves until told to stop, and longer for those who are not done: as long as the configuration allows.
 *
 * @returns how many sessions were cut off
 * @throws {ConfigurationError} when the configuration cannot be used, with all that is wrong with it
 * @throws {StartError} when this machine does not let it: a permission is missing, an address is taken; and at the end, when
 * that has come because it could not go on
 */
export async function start(
  { source, signal, now, onReload }: StartOptions,
): Promise<{ readonly cut: number }> {
  await using resources = new AsyncDisposableStack();
  const observation = resources.use(
    new Observation({ standardError: Deno.stderr, notifySocket: notifySocket() }),
  );
  const opening = openService(source, observation);
  onReload(() => {
    // Whatever becomes of the reload: logs are moved away by somebody who knows nothing of the configuration. The new files
    // are to tell of the reload, so they are opened first.
    const reopened = observation.reopen();
    // The file may have changed again since it was read: who asks for it while we begin gets it when we have begun.
    Promise.all([opening, reopened]).then(([service]) => service.reload()).catch(() => {});
  });
  // An issuer may be slow to answer, and a file may be a pipe that nobody writes to.
  const service = await Promise.race([opening, untilAborted(signal)]);
  if (service === undefined) return { cut: 0 };
  resources.use(service);
  observation.serving(() => service.census());
  const broken = await Promise.race([untilAborted(signal), service.serving.broken]);
  const drained = await service.drain(now);
  if (broken !== undefined) throw new StartError(`the program has to be started anew: ${broken}`);
  return drained;
}

async function openService(
  source: ConfigurationSource,
  observation: Observation,
): Promise<Service> {
  try {
    return await Service.open({
      load: async (report, before) => await observation.prepare(await load(source, report, before)),
      discard: () => observation.discard(),
      observerOf: () => observation.adopt(),
      startThread: (name) => new Worker(Deno.mainModule, { type: "module", name }),
    });
  } catch (error) {
    throw error instanceof CannotServe ? new StartError(error.message) : error;
  }
}

/** Where the service manager wants to be told, if there is one, and if Deno lets us know of it. */
function notifySocket(): string | undefined {
  const variable = "NOTIFY_SOCKET";
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
