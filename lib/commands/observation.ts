import { formatAddress } from "../address.ts";
import type { BackendAccess } from "../backend_link.ts";
import { probeBackend } from "../backend_probe.ts";
import type { Configuration } from "../config/configuration.ts";
import { auditTrail } from "../observe/audit.ts";
import { BackendProbes } from "../observe/backend_probes.ts";
import type { Census } from "../observe/census.ts";
import type { Observer, ProxyEvent } from "../observe/events.ts";
import { type LineSink, LineWriter } from "../observe/line_writer.ts";
import { type Log, logLineOf, openLog } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { tellAll } from "../observe/observers.ts";
import { Readiness } from "../observe/readiness.ts";
import { openTraces } from "../observe/traces.ts";
import { ServiceManager } from "../observe/service_manager.ts";
import type { LogSettings } from "../observe/schema.ts";
import { startTimer } from "../timers.ts";
import type { Loaded } from "./load.ts";
import { closeOutputs, NO_OUTPUTS, openOutputs, type Outputs } from "./outputs.ts";

/** What an {@link Observation} needs of the world around it. */
export interface ObservationOptions {
  readonly standardError: LineSink;
  /** `NOTIFY_SOCKET`, if it is set and may be read. */
  readonly notifySocket?: string;
}

/**
 * Everybody who is told what happens: the log, the audit trail, metrics, readiness, the service manager, as the configuration
 * of now wants them.
 */
export class Observation implements AsyncDisposable {
  readonly #standardError: LineWriter;
  /** From when there is first somewhere to ask for them. */
  #metrics: Metrics | null = null;
  #census: (() => Promise<Census>) | null = null;
  readonly #readiness = new Readiness({ now: uptime, wallClock: Date.now });
  readonly #serviceManager: ServiceManager;
  readonly #traces = openTraces();
  #outputs: Outputs = NO_OUTPUTS;
  /** What the next configuration wants, until it is adopted or turns out to be of no use. */
  #prepared: { readonly outputs: Outputs; readonly loaded: Loaded } | null = null;
  #log: Log | null = null;
  #format: LogSettings["format"] = "text";
  /** One for all files, one behind the other: it knows the sessions that have not ended. */
  #auditTrail: Observer = this.#beginAuditTrail();
  #probes: BackendProbes | null = null;
  #closing: Promise<void> = Promise.resolve();
  // Until a configuration is adopted nothing happens that a problem does not tell as well.
  #observe: Observer = () => {};

  constructor({ standardError, notifySocket }: ObservationOptions) {
    this.#standardError = new LineWriter(standardError);
    const report = (event: ProxyEvent) => this.#observe(event);
    this.#serviceManager = new ServiceManager({ socket: notifySocket, report });
  }

  /**
   * Opens what a configuration wants and is not open yet, so that nothing can go wrong when it is adopted; closes its
   * verifier if something does.
   *
   * @throws {StartError} when a file cannot be written to, or an address not be listened on; then all is as it was
   */
  async prepare(loaded: Loaded): Promise<Loaded> {
    try {
      await this.discard();
      const outputs = await openOutputs(this.#outputs, loaded.configuration, {
        sources: async () => ({
          readiness: () => this.#readiness.answer(),
          metrics: this.#metrics ??= await this.#beginMetrics(),
        }),
        report: (event) => this.#reportOutput(event),
      });
      this.#prepared = { outputs, loaded };
      return loaded;
    } catch (error) {
      await loaded.verifier.close();
      throw error;
    }
  }

  /** Closes what the configuration prepared last wants and the one of now does not: it will not be adopted. */
  async discard(): Promise<void> {
    const prepared = this.#prepared;
    this.#prepared = null;
    if (prepared !== null) await closeOutputs(prepared.outputs, this.#outputs);
  }

  /** Goes on by the configuration prepared last; who is to be told of everything from now on. */
  adopt(): Observer {
    const { outputs, loaded } = this.#prepared!;
    const { configuration, verifier } = loaded;
    const old = this.#outputs;
    this.#prepared = null;
    this.#outputs = outputs;
    this.#format = configuration.log.format;
    this.#log = openLog(configuration.log, (line) => (outputs.log ?? this.#standardError).write(line));
    const { audit } = outputs;
    if (audit === null) this.#auditTrail = this.#beginAuditTrail();
    this.#observe = tellAll([
      this.#log.observe,
      ...(audit === null ? [] : [this.#auditTrail]),
      ...(this.#metrics === null ? [] : [this.#metrics.observe]),
      this.#readiness.observe,
      this.#serviceManager.observe,
      ...(this.#traces === undefined ? [] : [this.#traces]),
    ], (error) => this.#complain(error));
    this.#adoptNeeds(configuration, verifier);
    this.#adoptAdmin(outputs.admin, { old: old.admin, tls: configuration.admin.tls });
    this.#closing = this.#closing.then(() => closeOutputs(old, outputs));
    return this.#observe;
  }

  /** The proxy serves: from now on `census` tells the metrics what no event does. */
  serving(census: () => Promise<Census>): void {
    this.#census = census;
    this.#metrics?.watch(census);
    this.#serviceManager.ready();
  }

  /** Opens the files anew by their paths: they may have been moved away. Never rejects. */
  async reopen(): Promise<void> {
    await Promise.all([this.#outputs.log?.reopen(), this.#outputs.audit?.reopen()]);
  }

  /** Writes what is waiting to be written, as far as it can be written soon, and closes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#probes?.[Symbol.dispose]();
    this.#serviceManager.stopping();
    await this.#serviceManager.said;
    await this.discard();
    await this.#closing;
    await closeOutputs(this.#outputs);
    this.#log?.[Symbol.dispose]();
    this.#metrics?.[Symbol.dispose]();
    await this.#standardError[Symbol.asyncDispose]();
  }

  /** Only now is loaded what counts: it takes a third as long as all else that starts the program. */
  async #beginMetrics(): Promise<Metrics> {
    const { Metrics } = await import("../observe/metrics.ts");
    const metrics = new Metrics();
    if (this.#census !== null) metrics.watch(this.#census);
    return metrics;
  }

  #beginAuditTrail(): Observer {
    return auditTrail({ write: (line) => this.#outputs.audit?.write(line), now: Date.now });
  }

  #adoptNeeds({ backends, issuers, admin }: Configuration, verifier: Loaded["verifier"]): void {
    const withKeys = new Set(verifier.keySets().map(({ issuer }) => issuer));
    this.#readiness.adopt({
      backends: [...backends.keys()],
      issuers: issuers.map(({ name }) => ({ name, isKeyless: !withKeys.has(name) })),
      keyProblems: () => verifier.problems(),
    });
    this.#probes?.[Symbol.dispose]();
    // Whom nobody asks whether the proxy is ready need not ask others.
    this.#probes = admin.address === undefined ? null : this.#probesOf(backends);
  }

  #probesOf(backends: ReadonlyMap<string, BackendAccess>): BackendProbes {
    return new BackendProbes({
      backends: [...backends.keys()],
      probe: (name) => probeBackend(backends.get(name)!),
      answeredMs: (name) => this.#readiness.answeredMs(name),
      report: (event) => this.#observe(event),
      now: uptime,
      after: startTimer,
      random: Math.random,
    });
  }

  #adoptAdmin(
    admin: Outputs["admin"],
    { old, tls }: { readonly old: Outputs["admin"]; readonly tls: Configuration["admin"]["tls"] },
  ): void {
    for (const [name, server] of admin) {
      if (old.has(name)) {
        if (tls !== undefined) server.renew(tls);
        continue;
      }
      const { host, port } = server.address;
      const address = formatAddress(host, port);
      this.#observe({ kind: "admin_listening", address, isTlsOffered: tls !== undefined });
    }
  }

  #reportOutput(event: ProxyEvent): void {
    // A log that cannot be written does not say so itself.
    if ("output" in event && event.output === "log" && event.kind !== "lines_lost") {
      this.#standardError.write(logLineOf(event, this.#format));
    }
    this.#observe(event);
  }

  #complain(error: unknown): void {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#standardError.write(`an observer failed, please report this: ${text.replaceAll("\n", "\\n")}\n`);
  }
}

function uptime(): number {
  return performance.now();
}
