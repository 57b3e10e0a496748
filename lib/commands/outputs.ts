import { formatAddress } from "../address.ts";
import type { Configuration } from "../config/configuration.ts";
import type { ListenAddress } from "../listen_address.ts";
import { whyNotListening } from "../listening.ts";
import { addressesOf } from "../observe/admin_schema.ts";
import type { AdminServer, AdminSources } from "../observe/admin_server.ts";
import { auditLine } from "../observe/audit.ts";
import type { OutputName, ProxyEvent } from "../observe/events.ts";
import { logLineOf } from "../observe/log.ts";
import { OutputFile } from "../observe/output_file.ts";
import { StartError } from "./load.ts";

/** Where what is observed comes out, besides standard error. */
export interface Outputs {
  readonly log: OutputFile | null;
  readonly audit: OutputFile | null;
  /** By address as the configuration has it, and whether it is inside TLS. */
  readonly admin: ReadonlyMap<string, AdminServer>;
}

/** Nothing comes out anywhere. */
export const NO_OUTPUTS: Outputs = { log: null, audit: null, admin: new Map() };

/** What outputs need. */
export interface OutputsOutside {
  /** What an admin server tells of; asked for only if there is to be one. */
  readonly sources: () => Promise<AdminSources>;
  readonly report: (event: ProxyEvent) => void;
}

/**
 * The outputs that a configuration wants: of those there are now the ones that it wants too, and new ones.
 *
 * @throws {StartError} when a file cannot be written to, or an address not be listened on; then nothing is opened
 */
export async function openOutputs(
  now: Outputs,
  configuration: Configuration,
  outside: OutputsOutside,
): Promise<Outputs> {
  await using opened = new AsyncDisposableStack();
  const log = await fileOf("log", { now, configuration, outside, opened });
  const audit = await fileOf("audit", { now, configuration, outside, opened });
  const { address, tls } = configuration.admin;
  const admin = new Map<string, AdminServer>();
  for (const one of addressesOf(address)) {
    const name = `${formatAddress(one.host, one.port)} ${tls === undefined ? "plain" : "TLS"}`;
    const kept = now.admin.get(name);
    const server = kept ?? opened.use(await openAdmin(one, { now, configuration, outside }));
    admin.set(name, server);
  }
  opened.move();
  return { log, audit, admin };
}

/** Closes those of `outputs` that are not among `others`. */
export async function closeOutputs(outputs: Outputs, others: Outputs = NO_OUTPUTS): Promise<void> {
  const kept = new Set(every(others));
  await Promise.all(every(outputs).map((one) => kept.has(one) ? undefined : one[Symbol.asyncDispose]()));
}

function every({ log, audit, admin }: Outputs): readonly AsyncDisposable[] {
  return [log, audit, ...admin.values()].filter((one) => one !== null);
}

async function fileOf(
  output: OutputName,
  { now, configuration, outside, opened }: {
    readonly now: Outputs;
    readonly configuration: Configuration;
    readonly outside: OutputsOutside;
    readonly opened: AsyncDisposableStack;
  },
): Promise<OutputFile | null> {
  const { file } = configuration[output];
  if (file === undefined) return null;
  if (now[output]?.path === file) return now[output];
  const { format } = configuration.log;
  const gap = (lines: number) =>
    output === "log"
      ? logLineOf({ kind: "lines_lost", output, lines }, format)
      : auditLine({ time: new Date().toISOString(), event: "lines_lost", lines });
  try {
    return opened.use(await OutputFile.open(file, { output, gap, report: outside.report }));
  } catch (error) {
    throw new StartError(`${output}.file names ${file}, ${whyNotWritten(error, file)}`);
  }
}

async function openAdmin(
  address: ListenAddress,
  { now, configuration: { admin: { tls } }, outside: { sources } }: {
    readonly now: Outputs;
    readonly configuration: Configuration;
    readonly outside: OutputsOutside;
  },
): Promise<AdminServer> {
  try {
    const { AdminServer } = await import("../observe/admin_server.ts");
    return await AdminServer.open({ address, tls, sources: await sources() });
  } catch (error) {
    const isOurs = [...now.admin.values()].some((server) => server.address.port === address.port);
    const why = isOurs
      ? "the proxy itself listens on that port in another way until it ends; start it again, or choose another port"
      : whyNotListening(error);
    throw new StartError(`cannot listen on admin.address: ${why}`);
  }
}

/** Why a file cannot be written to, and what to do about it, as a clause. */
function whyNotWritten(error: unknown, file: string): string {
  if (error instanceof Deno.errors.NotCapable) {
    return `which Deno may not write: start with --allow-write=${file}`;
  }
  if (error instanceof Deno.errors.NotFound) return "whose directory does not exist: make it first";
  if (error instanceof Deno.errors.PermissionDenied) {
    return "which this user may not write: change its owner or mode, or that of its directory";
  }
  if (error instanceof Deno.errors.IsADirectory) return "which is a directory";
  return `which cannot be written: ${error instanceof Error ? error.message : String(error)}`;
}
