import type { PostgresMajor } from "./postgres_binaries.ts";

/** Settings by their names in `postgresql.conf`. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** What a cluster's `postgresql.conf` depends on. */
export interface ConfOptions {
  readonly major: PostgresMajor;
  readonly port: number;
  readonly socketDirectory: string;
  readonly hasTls: boolean;
  /** Whether there is a `root.crt` to check client certificates with. */
  readonly hasAuthority: boolean;
  /** These have the last word. */
  readonly settings: Settings;
}

/** Settings for a server whose data nobody will miss. */
const DISPOSABLE: Settings = {
  fsync: false,
  synchronous_commit: false,
  full_page_writes: false,
  autovacuum: false,
  shared_buffers: "16MB",
  dynamic_shared_memory_type: "mmap", // leaves nothing in /dev/shm when killed
  log_connections: true,
  log_disconnections: true,
  log_line_prefix: "%m [%p] %u@%d ",
  max_connections: 100,
};

/** Writes the whole of `postgresql.conf`. */
export function postgresqlConf(options: ConfOptions): string {
  const settings: Settings = {
    listen_addresses: "127.0.0.1,::1",
    port: options.port,
    unix_socket_directories: options.socketDirectory,
    ...(options.hasTls && { ssl: true }),
    ...(options.hasAuthority && { ssl_ca_file: "root.crt" }),
    ...DISPOSABLE,
    ...(options.major >= 18 && { io_method: "sync" }), // no processes for it
    ...options.settings,
  };
  return Object.entries(settings).map(([name, value]) => `${name} = ${quote(String(value))}\n`).join("");
}

function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
