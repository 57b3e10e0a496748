// In: what an operator's configuration says besides the ordinary. Out: the program itself, in a process of its own with a real
// issuer before a real PostgreSQL, and all that an operator can see of it.
// Chapter: the stage of the tests about health, logs and the audit trail.

import { join } from "node:path";
import pg from "pg";
import { Serving } from "../commands/program.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import { PASSWORDS } from "../support/postgres_roles.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";

/** What an {@link OperatorScene} is made with. */
export interface OperatorOptions {
  /** TOML of the tables that operators care for; `[admin]` without an address gets one. */
  readonly toml: string;
  /** Flags of Deno; default: to reach any host and read any file. */
  readonly permissions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The program, and what it is made of. */
export class OperatorScene implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly authority: Authority;
  readonly cluster: PostgresCluster;
  readonly program: Serving;
  readonly directory: string;
  readonly issuer: OidcIssuer;
  /** Where clients come in. */
  readonly port: number;
  readonly configuration: string;

  private constructor(
    resources: AsyncDisposableStack,
    parts: Pick<
      OperatorScene,
      "authority" | "cluster" | "program" | "directory" | "issuer" | "port" | "configuration"
    >,
  ) {
    this.#resources = resources;
    this.authority = parts.authority;
    this.cluster = parts.cluster;
    this.program = parts.program;
    this.directory = parts.directory;
    this.issuer = parts.issuer;
    this.port = parts.port;
    this.configuration = parts.configuration;
  }

  /** Starts everything; the program's log is on standard error unless the TOML says otherwise. */
  static async start({ toml, permissions, env = {} }: OperatorOptions): Promise<OperatorScene> {
    await using resources = new AsyncDisposableStack();
    const authority = await createAuthority("operator");
    const server = await authority.issueForLoopback();
    const { certificatePem, keyPem } = server;
    const cluster = resources.use(
      await PostgresCluster.start({
        major: 18,
        tls: { certificatePem, keyPem, caPem: authority.certificatePem },
      }),
    );
    const issuer = resources.use(await OidcIssuer.start({ authority }));
    const directory = resources.use(await tempDirectory());
    const configuration = configurationText({ toml, clusterPort: cluster.port, issuerUrl: issuer.url });
    const files = {
      "server.crt": certificatePem,
      "server.key": keyPem,
      "ca.crt": authority.certificatePem,
      "password": PASSWORDS.app_scram,
      "config.toml": configuration,
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(directory.path, name), text);
    }
    const program = resources.use(
      Serving.start(["start", "--config", join(directory.path, "config.toml")], {
        permissions,
        env: { DENO_CERT: join(directory.path, "ca.crt"), ...env },
      }),
    );
    const place = /\[log\][^[]*file = "(.*)"/.exec(toml)?.[1];
    const log = place === undefined
      ? undefined
      : () => Deno.readTextFile(join(directory.path, place)).catch(() => "");
    const [, port] = await program.until(/listening(?! for)[^\n]*address\W+127\.0\.0\.1:(\d+)/, log);
    const parts = { authority, cluster, program, directory: directory.path, issuer, configuration };
    return new OperatorScene(resources.move(), { ...parts, port: Number(port) });
  }

  /** Writes the configuration anew, and tells the program. */
  async reload(change: (configuration: string) => string): Promise<void> {
    await Deno.writeTextFile(join(this.directory, "config.toml"), change(this.configuration));
    this.program.kill("SIGHUP");
  }

  /** A file beside the configuration. */
  read(name: string): Promise<string> {
    return Deno.readTextFile(join(this.directory, name));
  }

  /** The JSON objects of a file, a line each, once there are so many. */
  lines(name: string, count: number): Promise<Record<string, unknown>[]> {
    return waitUntil(async () => {
      const lines = (await this.read(name)).split("\n").filter((line) => line !== "");
      return lines.length < count ? null : lines.map((line) => JSON.parse(line));
    }, { what: `${count} lines in ${name}` });
  }

  /** Logs in as alice, or as who is said, and runs statements one after the other. */
  async visit(statements: readonly string[] = ["select 1"], sub = "alice"): Promise<void> {
    await using client = await this.connect(sub);
    for (const statement of statements) await client.query(statement);
  }

  /** A session of alice's, or of who is said. */
  async connect(sub = "alice"): Promise<{ query(sql: string): Promise<unknown> } & AsyncDisposable> {
    const client = new pg.Client({
      host: "localhost",
      port: this.port,
      user: sub,
      database: "postgres",
      application_name: "a test",
      password: await this.issuer.mint({ sub }),
      ssl: { ca: this.authority.certificatePem },
    });
    client.on("error", () => {});
    await client.connect();
    return { query: (sql) => client.query(sql), [Symbol.asyncDispose]: () => client.end() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

function configurationText(
  { toml, clusterPort, issuerUrl }: { toml: string; clusterPort: number; issuerUrl: string },
): string {
  return `
[listen]
address = "127.0.0.1:0"
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "corp"
url = "${issuerUrl}"
audience = ["pg-auth-proxy"]

[[backends]]
name = "main"
url = "postgres://app_scram@localhost:${clusterPort}/postgres?sslrootcert=ca.crt"
password_file = "password"

[[rules]]
name = "alice"
issuer = "corp"
match = "alice"
backend = "main"

${toml}
`;
}
