// In: how clients come in, if not all by OAUTHBEARER. Out: a real PostgreSQL behind a proxy that asks for tokens by
// OAUTHBEARER, an issuer with people at it, and the programs of libpq 18 that log in there.
// Chapter: what the `oauth_…_test.ts` files have in common.

import { createAuthority } from "../support/certificates.ts";
import { approveDevice } from "../support/device_flow.ts";
import type { ProgramResult, RunningProgram } from "../support/libpq_program.ts";
import {
  type ConnectionParameters,
  conninfo,
  hasLibpq18,
  type Libpq18Name,
  runLibpq18,
  startLibpq18,
} from "../support/libpq18.ts";
import { hasCompiler } from "../support/oauth_validator.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { type Claims, CLIENTS } from "../support/oidc_provider.ts";
import type { PostgresMajor } from "../support/postgres_binaries.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { TokenHook } from "../support/token_hook.ts";
import { waitUntil } from "../support/wait_until.ts";

/** Shows who is logged in, and whom the proxy took them for. */
export const WHO_AM_I = "select current_user, current_setting('application_name')";

/** What {@link WHO_AM_I} shows psql's users, unaligned and without headers, who come in as Alice. */
export const I_AM_ALICE = "app_scram|alice@example.com by the proxy\n";

/** What happens in a connection that asks where to get a token. */
export const DISCOVERY = ["connection_opened", "tls_established", "discovery_answered"];

/** What happens in a connection whose client is let in, and leaves. */
export const SESSION = [
  "connection_opened",
  "tls_established",
  "token_accepted",
  "backend_tried",
  "authenticated",
  "session_ended",
];

/** What clients are told to ask the issuer for. */
export const SCOPE = "openid email";

/** The ordinary way in: OAUTHBEARER for all. */
export const BY_OAUTHBEARER = `
[[ways_in]]
method = "oauthbearer"
issuer = "corp"
scope = "${SCOPE}"
`;

/** People at the issuer. No rule lets Mallory in. */
const ACCOUNTS = {
  alice: { email: "alice@example.com", email_verified: true },
  mallory: { email: "mallory@example.org", email_verified: true },
} as const;

type Account = keyof typeof ACCOUNTS;

/** What a person has to go by, on standard error. */
const PROMPT = /^Visit (\S+) and enter the code: (\S+)$/m;

/** What an {@link OauthScene} is made with; what is left out is the ordinary. */
export interface SceneOptions {
  readonly major?: PostgresMajor;
  /** TOML. */
  readonly waysIn?: string;
  /** What the proxy's certificate is good for, besides localhost. */
  readonly serverNames?: readonly string[];
  /** Keys of the table `[limits]`. */
  readonly limits?: string;
}

/** What a program is told to do. */
export interface Command {
  readonly args: readonly string[];
  /** Of the connection, besides the usual ones. */
  readonly parameters?: ConnectionParameters;
}

/** A program's login, and what its person does meanwhile. */
export interface DeviceLogin extends Command {
  readonly account: Account;
  /** What the person's browser has; default the issuer's own. */
  readonly fetch?: typeof fetch;
  /** Called when the prompt is there, before the person answers. */
  readonly onPrompt?: (verificationUrl: string) => Promise<void>;
}

/** A backend, the issuer, and the proxy between them. */
export class OauthScene implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly #hook: TokenHook | undefined;
  readonly cluster: PostgresCluster;
  readonly issuer: OidcIssuer;
  readonly proxy: RunningProxy;

  private constructor(
    resources: AsyncDisposableStack,
    parts: { hook?: TokenHook; cluster: PostgresCluster; issuer: OidcIssuer; proxy: RunningProxy },
  ) {
    this.#resources = resources;
    this.#hook = parts.hook;
    this.cluster = parts.cluster;
    this.issuer = parts.issuer;
    this.proxy = parts.proxy;
  }

  /** Starts everything; people whose email is of example.com are let in as `app_scram`. */
  static async start(
    { major = 18, waysIn = BY_OAUTHBEARER, serverNames = [], limits }: SceneOptions = {},
  ): Promise<OauthScene> {
    await using resources = new AsyncDisposableStack();
    const authority = await createAuthority("oauth clients");
    const names = ["localhost", ...serverNames];
    const server = await authority.issue({ commonName: "localhost", dnsNames: names });
    const cluster = resources.use(await PostgresCluster.start({ major, tls: server }));
    const issuer = resources.use(await OidcIssuer.start({ authority, accounts: ACCOUNTS }));
    const scenario = {
      issuedBy: issuer,
      limits,
      toml: waysIn + backendAndRule(cluster.port),
      files: {
        password: PASSWORDS.app_scram,
        "server.crt": server.certificatePem,
        "server.key": server.keyPem,
      },
    };
    const proxy = resources.use(await RunningProxy.start(scenario, authority));
    const hook = hasLibpq18("psql") && hasCompiler() ? resources.use(await TokenHook.compile()) : undefined;
    return new OauthScene(resources.move(), { hook, cluster, issuer, proxy });
  }

  /** An access token of a person's, as the device flow gives it; these claims have the last word. */
  async mint({ account = "alice", claims }: { account?: Account; claims?: Claims } = {}): Promise<string> {
    return await this.issuer.mint({ sub: account, claims: { ...ACCOUNTS[account], ...claims } });
  }

  /** What a client's connection string says; `oauth_…` is unknown to those before 18. */
  conninfo(more: ConnectionParameters = {}): string {
    return conninfo({
      host: "localhost",
      port: this.proxy.port,
      user: "alice",
      dbname: "postgres",
      sslmode: "verify-full",
      sslrootcert: this.proxy.caFile,
      ...more,
    });
  }

  /** Starts a program that has this token already. */
  start(program: Libpq18Name, token: string, { args, parameters }: Command): RunningProgram {
    if (this.#hook === undefined) throw new Error("There is no psql 18, or no compiler");
    return startLibpq18(program, this.#argumentsOf(program, args, parameters), {
      env: this.#hook.environment(token),
    });
  }

  /** Runs a program that has this token already to its end. */
  async run(program: Libpq18Name, token: string, command: Command): Promise<ProgramResult> {
    await using running = this.start(program, token, command);
    return await running.ended;
  }

  /** Runs psql, which has this token already, for one statement. */
  async query(
    token: string,
    statement = WHO_AM_I,
    parameters: ConnectionParameters = {},
  ): Promise<ProgramResult> {
    return await this.run("psql", token, { args: ["-At", "-c", statement], parameters });
  }

  /** Runs a program that gets its token by the device flow: somebody reads the prompt and does as it says. */
  async logInByDevice(
    program: Libpq18Name,
    { args, account, parameters, fetch = this.issuer.fetch, onPrompt }: DeviceLogin,
  ): Promise<ProgramResult> {
    let person: Promise<void> | undefined;
    const result = await runLibpq18(program, this.#argumentsOf(program, args, parameters), {
      // Only when it is told to be unsafe does libpq trust an authority of our own.
      env: { PGOAUTHDEBUG: "UNSAFE", PGOAUTHCAFILE: this.proxy.caFile },
      onStderr: (text) => {
        const [, verificationUrl, userCode] = PROMPT.exec(text) ?? [];
        if (userCode === undefined || person !== undefined) return;
        person = (onPrompt?.(verificationUrl) ?? Promise.resolve())
          .then(() => approveDevice(fetch, { verificationUrl, userCode, account }));
        person.catch(() => {}); // it is awaited when the program has ended
      },
    });
    await person;
    return result;
  }

  /** What connections report until all of them are over; `lives` are the kinds, for each connection. */
  async eventsOf<T>(act: () => Promise<T>) {
    await this.isQuiet();
    const start = this.proxy.events.length;
    const result = await act();
    await this.isQuiet();
    const events = this.proxy.events.slice(start).filter((event) => "connection" in event);
    // In one row they would say less: libpq opens the next connection while the last is still on its way out.
    const lives = [...Map.groupBy(events, ({ connection }) => connection.id).values()];
    return { result, events, lives: lives.map((life) => life.map(({ kind }) => kind)) };
  }

  /** Waits until no client is connected: what a test began, it has ended. */
  async isQuiet(): Promise<void> {
    await waitUntil(() => this.proxy.connectionCount === 0, { what: "every client to be gone" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  #argumentsOf(
    program: Libpq18Name,
    args: readonly string[],
    parameters: ConnectionParameters = {},
  ): string[] {
    const oauth = { require_auth: "oauth", oauth_issuer: this.issuer.url, oauth_client_id: CLIENTS.psql.id };
    const target = `--dbname=${this.conninfo({ ...oauth, ...parameters })}`;
    return program === "psql" ? ["--no-psqlrc", target, ...args] : [target, ...args];
  }
}

function backendAndRule(port: number): string {
  return `
[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${port}/postgres?sslmode=verify-full&sslrootcert=ca.crt"
password_file = "password"
set = { application_name = "{identity} by the proxy" }

[[rules]]
issuer = "corp"
claim = "email"
match = '/.*@example\\.com/'
backend = "main"
login_as = "app_scram"
`;
}
