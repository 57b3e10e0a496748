import { join } from "node:path";
import { proxyEventOf } from "../../lib/commands/proxy_event.ts";
import { loadConfiguration } from "../../lib/config/load.ts";
import type { Observer, ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import { Proxy } from "../../lib/proxy.ts";
import { TokenVerifier } from "../../lib/token/token_verifier.ts";
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
  /** Leaves out the certificate. */
  readonly isPlaintext?: boolean;
  /** The clock that tokens, key sets and rules go by, in milliseconds since 1970. */
  readonly now?: () => number;
  /** The clock that limits go by, in milliseconds. */
  readonly uptime?: () => number;
}

/** A proxy in this process with a real issuer behind it, both on loopback. */
export class RunningProxy implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly #proxy: Proxy;
  readonly authority: Authority;
  readonly issuer: OidcIssuer;
  /** Everything that was observed so far. */
  readonly events: (SessionEvent | ProxyEvent)[];
  /** Path of the authority's certificate, for clients. */
  readonly caFile: string;

  private constructor(parts: {
    resources: AsyncDisposableStack;
    proxy: Proxy;
    authority: Authority;
    issuer: OidcIssuer;
    events: (SessionEvent | ProxyEvent)[];
    caFile: string;
  }) {
    this.#resources = parts.resources;
    this.#proxy = parts.proxy;
    this.authority = parts.authority;
    this.issuer = parts.issuer;
    this.events = parts.events;
    this.caFile = parts.caFile;
  }

  /** Starts issuer and proxy; `authority` signs the certificates of both. */
  static async start(scenario: ProxyScenario, given?: Authority): Promise<RunningProxy> {
    await using resources = new AsyncDisposableStack();
    const authority = given ?? await createAuthority("pg-auth-proxy tests");
    const issuer = scenario.issuedBy ?? resources.use(await OidcIssuer.start({ authority }));
    const directory = resources.use(await tempDirectory());
    const path = await writeConfiguration(directory.path, { scenario, authority, issuer });
    const configuration = await loadConfiguration(path);
    const events: (SessionEvent | ProxyEvent)[] = [];
    const observe: Observer = (event) => void events.push(event);
    const verifier = resources.use(
      await TokenVerifier.create(configuration.issuers, {
        fetch: issuer.fetch,
        now: scenario.now ?? Date.now,
        maxTokenBytes: configuration.listen.max_token_bytes,
        baseDirectory: configuration.directory,
        report: (event) => observe(proxyEventOf(event)),
      }),
    );
    const proxy = resources.use(
      await Proxy.open({
        configuration,
        tokens: verifier,
        observe,
        now: scenario.uptime,
        wallClock: scenario.now,
      }),
    );
    const caFile = join(directory.path, "ca.crt");
    return new RunningProxy({ resources: resources.move(), proxy, authority, issuer, events, caFile });
  }

  get port(): number {
    return this.#proxy.addresses[0].port;
  }

  get connectionCount(): number {
    return this.#proxy.connectionCount;
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
    await this.#proxy.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

async function writeConfiguration(
  directory: string,
  { scenario, authority, issuer }: { scenario: ProxyScenario; authority: Authority; issuer: OidcIssuer },
): Promise<string> {
  const server = await authority.issueForLoopback();
  const files: Record<string, string> = {
    "ca.crt": authority.certificatePem,
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    ...scenario.files,
    "config.toml": configurationText(scenario, issuer.url),
  };
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(directory, name), text);
  return join(directory, "config.toml");
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

[limits]
${scenario.limits ?? "failed_logins = 0"}

${scenario.toml}
`;
}
