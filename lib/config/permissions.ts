import { fileURLToPath } from "node:url";
import { addressesOf } from "../observe/admin_schema.ts";
import { programOf } from "../token/schema.ts";
import type { Configuration } from "./configuration.ts";

/** What the program needs Deno to permit for a configuration. */
export interface RequiredPermissions {
  /** `host:port` or `unix:path`, as `--allow-net` takes them; a host alone where the system chooses the port. */
  readonly net: readonly string[];
  /** Absolute paths, as `--allow-read` takes them. */
  readonly read: readonly string[];
  /** Absolute paths of Unix sockets, of the log and of the audit trail, as `--allow-write` takes them. */
  readonly write: readonly string[];
  /** Programs, absolute or by name, as `--allow-run` takes them. */
  readonly run: readonly string[];
  /** Variables of the environment, as `--allow-env` takes them. */
  readonly env: readonly string[];
}

/** Asks Deno about one permission: `Deno.permissions.query`. */
export type PermissionQuery = (descriptor: Deno.PermissionDescriptor) => Promise<{ readonly state: string }>;

/** Everything the configuration will reach: addresses to listen on, issuers, backends, and files read at each reload. */
export function requiredPermissions(configuration: Configuration): RequiredPermissions {
  const { listen, issuers, backends, service, log, audit, admin } = configuration;
  const net = new Set<string>();
  const read = new Set<string>([...configuration.files, ...service.workers === 1 ? [] : programFiles()]);
  const write = new Set<string>();
  const run = new Set<string>();
  for (const { host, port } of [listen.address, addressesOf(admin.address)].flat(2)) {
    net.add(hostAndPort(host, port));
  }
  for (const { file } of [log, audit]) if (file !== undefined) write.add(file);
  for (const { url, jwks_url, jwks_hosts = [], introspection, validator } of issuers) {
    if (validator !== undefined) run.add(programOf(validator, configuration.directory));
    for (const written of [url, jwks_url, introspection?.endpoint]) {
      if (written !== undefined) net.add(hostOfUrl(new URL(written)));
    }
    for (const host of jwks_hosts) net.add(hostOfUrl(new URL(`https://${host}`)));
  }
  for (const { target } of backends.values()) {
    for (const host of target.hosts) {
      if (host.kind === "tcp") net.add(hostAndPort(host.host, host.port));
      else {
        // Deno wants all three to connect to a Unix socket.
        net.add(`unix:${host.path}`);
        read.add(host.path);
        write.add(host.path);
      }
    }
  }
  const env = [...new Set(configuration.variables)];
  return { net: [...net], read: [...read], write: [...write], run: [...run], env };
}

/** Each worker reads the program once more: its main file, and all of `lib/`, unless they are one file. */
function programFiles(): readonly string[] {
  const main = fileURLToPath(Deno.mainModule);
  const isBundled = import.meta.url === Deno.mainModule;
  return isBundled ? [main] : [main, fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "")];
}

/** The permissions as flags of `deno run` and `deno compile`, one for each kind that is needed. */
export function flagsOf(permissions: RequiredPermissions): readonly string[] {
  return Object.entries(permissions).flatMap(([name, values]) =>
    // A comma stands between two values: one inside a value is written twice.
    values.length === 0
      ? []
      : [`--allow-${name}=${values.map((value: string) => value.replaceAll(",", ",,")).join(",")}`]
  );
}

/** One sentence that names every permission that is missing, or undefined if none is. */
export async function checkPermissions(
  configuration: Configuration,
  query: PermissionQuery,
): Promise<string | undefined> {
  const { net, read, write, run, env } = requiredPermissions(configuration);
  const isMissing = async (descriptor: Deno.PermissionDescriptor) =>
    (await query(descriptor)).state !== "granted";
  const missing = {
    net: await filter(net, (host) => isMissing({ name: "net", host })),
    read: await filter(read, (path) => isMissing({ name: "read", path })),
    write: await filter(write, (path) => isMissing({ name: "write", path })),
    run: await filter(run, (command) => isMissing({ name: "run", command })),
    env: await filter(env, (variable) => isMissing({ name: "env", variable })),
  };
  const flags = flagsOf(missing);
  return flags.length === 0
    ? undefined
    : `Deno does not permit what the configuration needs: start with ${flags.join(" ")}`;
}

async function filter<T>(values: readonly T[], keeps: (value: T) => Promise<boolean>): Promise<T[]> {
  const kept = await Promise.all(values.map(keeps));
  return values.filter((_, index) => kept[index]);
}

function hostOfUrl(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === "http:" ? 80 : 443)}`;
}

function hostAndPort(host: string, port: number): string {
  const bracketed = host.includes(":") ? `[${host}]` : host;
  return port === 0 ? bracketed : `${bracketed}:${port}`;
}
