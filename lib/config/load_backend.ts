import { type BackendNames, parseBackendNames } from "../authorize/policy.ts";
import { type Backend, backendOf, type BackendTable } from "../connect/schema.ts";
import type { LongWork, Pace } from "../long_work.ts";
import type { LoadedBackend } from "./configuration.ts";
import { attempt } from "./load_listen.ts";
import { isPair, type NamedFiles } from "./named_file.ts";
import type { Problems } from "./problem.ts";

/** Backends by name, and those of their parts that captures may fill. */
export interface LoadedBackends {
  readonly backends: ReadonlyMap<string, LoadedBackend>;
  readonly names: ReadonlyMap<string, BackendNames>;
}

/** Reads the backends' passwords and certificates; what cannot be read becomes problems. */
export async function loadBackends(
  tables: readonly (BackendTable | undefined)[],
  { files, pace, problems }: { files: NamedFiles; pace: Pace; problems: Problems },
): Promise<LoadedBackends> {
  const backends = new Map<string, LoadedBackend>();
  const names = new Map<string, BackendNames>();
  for (const read of await pace(reading(tables, problems))) {
    backends.set(read.table.name, await loadBackend(read, files));
    names.set(read.table.name, read.names);
  }
  return { backends, names };
}

/** What a backend's table says by itself. */
interface ReadBackend {
  readonly table: BackendTable;
  readonly backend: Backend;
  readonly names: BackendNames;
  readonly add: (key: string, says: string) => void;
}

function* reading(
  tables: readonly (BackendTable | undefined)[],
  problems: Problems,
): LongWork<readonly ReadBackend[]> {
  const read: ReadBackend[] = [];
  for (const [index, table] of tables.entries()) {
    yield;
    if (table === undefined) continue;
    const add = (key: string, says: string) => problems.add(["backends", index, key], says);
    const backend = backendOf(table);
    const names = parseBackendNames(backend.target, (says) => add("url", `has ${says}`));
    read.push({ table, backend, names, add });
  }
  return read;
}

async function loadBackend(
  { table, backend, add }: ReadBackend,
  files: NamedFiles,
): Promise<LoadedBackend> {
  const { sslrootcert, sslcert, sslkey } = backend.target;
  const otherwise = (key: string) => ({ otherwise: (says: string) => add(key, says) });
  const fromUrl = (parameter: string) => ({
    otherwise: (says: string) => add("url", `has ${parameter}, which ${says}`),
  });

  const { password_file, password_env } = table;
  const password = password_file !== undefined
    ? await attempt(() => files.password(password_file), otherwise("password_file"))
    : password_env !== undefined
    ? await attempt(() => files.variable(password_env), otherwise("password_env"))
    : backend.target.password;

  const isNamed = sslrootcert !== undefined && sslrootcert !== "system";
  const trustedCertificates = isNamed
    ? await attempt(() => files.certificates(sslrootcert), fromUrl("sslrootcert"))
    : undefined;
  const certificates = sslcert && await attempt(() => files.certificates(sslcert), fromUrl("sslcert"));
  const privateKey = sslkey === undefined
    ? undefined
    : await attempt(() => files.privateKey(sslkey), fromUrl("sslkey"));
  const clientIdentity = certificates && privateKey && { certificates, privateKey };
  if (clientIdentity && !isPair(clientIdentity.certificates, clientIdentity.privateKey)) {
    add("url", `has sslkey, which names ${sslkey}, which is not the key of ${sslcert}`);
  }

  const absolute = (path: string | undefined) => path === undefined ? undefined : files.absolute(path);
  const target: Backend["target"] = {
    ...backend.target,
    password,
    sslrootcert: isNamed ? absolute(sslrootcert) : sslrootcert,
    sslcert: absolute(sslcert),
    sslkey: absolute(sslkey),
  };
  return { ...backend, target, trustedCertificates, clientIdentity: clientIdentity || undefined };
}
