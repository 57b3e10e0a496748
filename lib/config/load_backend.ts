import { type BackendNames, parseBackendNames } from "../authorize/policy.ts";
import { type Backend, backendOf, type BackendTable } from "../connect/schema.ts";
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
  { files, problems }: { files: NamedFiles; problems: Problems },
): Promise<LoadedBackends> {
  const backends = new Map<string, LoadedBackend>();
  const names = new Map<string, BackendNames>();
  for (const [index, table] of tables.entries()) {
    if (table === undefined) continue;
    const add = (key: string, says: string) => problems.add(["backends", index, key], says);
    const backend = await loadBackend(table, { files, add });
    backends.set(table.name, backend);
    names.set(table.name, parseBackendNames(backend.target, (says) => add("url", `has ${says}`)));
  }
  return { backends, names };
}

async function loadBackend(
  table: BackendTable,
  { files, add }: { files: NamedFiles; add: (key: string, says: string) => void },
): Promise<LoadedBackend> {
  const backend = backendOf(table);
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
