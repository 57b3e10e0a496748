import { join } from "node:path";
import type { Loaded } from "../../lib/commands/load.ts";
import { Service } from "../../lib/commands/service.ts";
import { loadConfiguration, THIS_MACHINE } from "../../lib/config/load.ts";
import type { Census } from "../../lib/observe/census.ts";
import type { ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import type { ProxyOptions } from "../../lib/proxy.ts";
import type { TokenEvent } from "../../lib/token/token_event.ts";
import { TokenVerifier } from "../../lib/token/token_verifier.ts";
import type { StartThread } from "../../lib/workers/member.ts";
import { recording } from "../../lib/workers/read_inputs.ts";
import { type Authority, createAuthority } from "./certificates.ts";
import { OidcIssuer } from "./oidc_issuer.ts";
import { tempDirectory } from "./temp_directory.ts";
import { waitUntil } from "./wait_until.ts";

/** What a proxy under test is made of; what is left out is the ordinary. */
export interface ProxyScenario {
  /** TOML of the backends and rules, and of anything else. */
  readonly toml: string;
  /** Keys of the table `[listen]` besides its address and certificate. */
  readonly listen?: string;
  /** Keys of the issuer's table besides its name, URL and audience. */
  readonly issuer?: string;
  /** Keys of the table `[limits]`; left out, failed logins are not counted: a test may have any number of them. */
  readonly limits?: string;
  /** Files to stand beside the configuration, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Another proxy's issuer, to trust in place of one of its own. */
  readonly issuedBy?: OidcIssuer;
  /** What stands between the proxy and its issuer: a network that delays, or that changes what is said. */
  readonly between?: (fetch: typeof globalThis.fetch) => typeof globalThis.fetch;
  /** Leaves out the certificate. */
  readonly isPlaintext?: boolean;
  /** The clock that tokens, key sets and rules go by, in milliseconds since 1970. */
  readonly now?: () => number;
  /** The clock that limits go by, in milliseconds. */
  readonly uptime?: () => number;
  /** What runs as a worker; default: the program. */
  readonly startThread?: StartThread;
  /** The timers of sessions' ends. */
  readonly after?: ProxyOptions["after"];
}

/** A proxy in this process with a real issuer behind it, both on loopback. */
export class RunningProxy implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly #service: Service;
  readonly authority: Authority;
  readonly issuer: OidcIssuer;
  /** Everything that was observed so far. */
  readonly events: (SessionEvent | ProxyEvent)[];
  /** Path of the authority's certificate, for clients. */
  readonly caFile: string;
  /** Writes a file beside the configuration. */
  readonly writeFile: (name: string, text: string) => Promise<void>;
  /** Goes on with other backends and rules, if the proxy will: TOML and limits as in {@link ProxyScenario}. */
  readonly reload: (toml: string, limits?: string) => Promise<void>;

  private constructor(parts: {
    resources: AsyncDisposableStack;
    service: Service;
    authority: Authority;
    issuer: OidcIssuer;
    events: (SessionEvent | ProxyEvent)[];
    caFile: string;
    writeFile: RunningProxy["writeFile"];
    reload: RunningProxy["reload"];
  }) {
    this.#resources = parts.resources;
    this.#service = parts.service;
    this.authority = parts.authority;
    this.issuer = parts.issuer;
    this.events = parts.events;
    this.caFile = parts.caFile;
    this.writeFile = parts.writeFile;
    this.reload = parts.reload;
  }

  /** Starts issuer and proxy; `authority` signs the certificates of both. */
  static async start(scenario: ProxyScenario, given?: Authority): Promise<RunningProxy> {
    await using resources = new AsyncDisposableStack();
    const authority = given ?? await createAuthority("pg-auth-proxy tests");
    const issuer = scenario.issuedBy ?? resources.use(await OidcIssuer.start({ authority }));
    const directory = resources.use(await tempDirectory());
    await writeConfiguration(directory.path, { scenario, authority, issuer });
    const events: (SessionEvent | ProxyEvent)[] = [];
    const service = resources.use(
      await Service.open({
        load: (report) => load(directory.path, { issuer, scenario, report }),
        observerOf: () => (event) => void events.push(event),
        startThread: scenario.startThread ?? startProgram,
        clocks: { now: scenario.uptime, wallClock: scenario.now, after: scenario.after },
      }),
    );
    const writeFile = (name: string, text: string) => Deno.writeTextFile(join(directory.path, name), text);
    const reload = async (toml: string, limits = scenario.limits) => {
      await writeFile("config.toml", configurationText({ ...scenario, toml, limits }, issuer.url));
      await service.reload();
    };
    const caFile = join(directory.path, "ca.crt");
    const parts = { service, authority, issuer, events, caFile, writeFile, reload };
    return new RunningProxy({ resources: resources.move(), ...parts });
  }

  get port(): number {
    return this.#service.serving.addresses[0].port;
  }

  /** What is so at this moment. */
  census(): Promise<Census> {
    return this.#service.census();
  }

  get connectionCount(): number {
    return this.#service.serving.connectionCount;
  }

  /** How many of its connections count for the limits. */
  get counted(): { readonly connections: number; readonly unauthenticated: number } {
    return this.#service.serving.counted;
  }

  /** Libpq's parameters for logging in with `token`. */
  libpqEnvironment(token: string): Record<string, string> {
    return {
      PGHOST: "localhost",
      PGPORT: String(this.port),
      PGPASSWORD: token,
      PGSSLMODE: "verify-full",
      PGSSLROOTCERT: this.caFile,
      PGCONNECT_TIMEOUT: "10",
    };
  }

  /** Options of the driver `pg` for logging in with `token`. */
  driverOptions(token: string) {
    return {
      host: "localhost",
      port: this.port,
      password: token,
      ssl: { ca: this.authority.certificatePem },
    };
  }

  /** Settles when an event of this kind has been observed, with the last one. */
  async observed<K extends (SessionEvent | ProxyEvent)["kind"]>(
    kind: K,
  ): Promise<Extract<SessionEvent | ProxyEvent, { kind: K }>> {
    const find = () => this.events.findLast((event) => event.kind === kind);
    await waitUntil(() => find() !== undefined, { what: `the event ${kind}` });
    return find() as Extract<SessionEvent | ProxyEvent, { kind: K }>;
  }

  /** Stops the proxy, leaving the issuer. */
  async close(): Promise<void> {
    await this.#service.serving.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** The program, as a worker. */
export function startProgram(name: string): Worker {
  return new Worker(new URL("../../main.ts", import.meta.url), { type: "module", name });
}

async function load(
  directory: string,
  { issuer, scenario, report }: {
    readonly issuer: OidcIssuer;
    readonly scenario: ProxyScenario;
    readonly report: (event: TokenEvent) => void;
  },
): Promise<Loaded> {
  const { outside, inputs } = recording({ path: join(directory, "config.toml") }, THIS_MACHINE);
  const configuration = await loadConfiguration(inputs.source, outside);
  const verifier = await TokenVerifier.create(configuration.issuers, {
    fetch: scenario.between?.(issuer.fetch) ?? issuer.fetch,
    now: scenario.now ?? Date.now,
    maxTokenBytes: configuration.listen.max_token_bytes,
    baseDirectory: configuration.directory,
    report,
  });
  return { configuration, verifier, inputs };
}

async function writeConfiguration(
  directory: string,
  { scenario, authority, issuer }: { scenario: ProxyScenario; authority: Authority; issuer: OidcIssuer },
): Promise<void> {
  const server = await authority.issueForLoopback();
  const files: Record<string, string> = {
    "ca.crt": authority.certificatePem,
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    ...scenario.files,
    "config.toml": configurationText(scenario, issuer.url),
  };
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(directory, name), text);
}

function configurationText(scenario: ProxyScenario, issuerUrl: string): string {
  return `
[listen]
address = "127.0.0.1:0"
${
    scenario.isPlaintext
      ? "insecure_plaintext = true"
      : 'certificate = "server.crt"\nprivate_key = "server.key"'
  }
${scenario.listen ?? ""}

[[issuers]]
name = "corp"
url = "${issuerUrl}"
audience = ["pg-auth-proxy"]
${scenario.issuer ?? ""}

# A test's clock may go on by days.
${scenario.toml.includes("[service]") ? "" : '[service]\nrefresh = "0"'}

[limits]
${scenario.limits ?? "failed_logins = 0"}

${scenario.toml}
`;
}
