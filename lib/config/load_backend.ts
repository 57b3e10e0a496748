import { type Backend, backendOf, type BackendTable } from "../connect/schema.ts";
import type { LoadedBackend } from "./configuration.ts";
import { attempt } from "./load_listen.ts";
import { isPair, type NamedFiles } from "./named_file.ts";
import type { Problems } from "./problem.ts";

/** What {@link loadBackend} needs besides the table: its place in the file, what it names, and where to note mistakes. */
export interface BackendSurroundings {
  readonly index: number;
  readonly files: NamedFiles;
  readonly problems: Problems;
}

/** Reads a backend's password and certificates; what cannot be read becomes problems. */
export async function loadBackend(
  table: BackendTable,
  { index, problems, files }: BackendSurroundings,
): Promise<LoadedBackend> {
  const backend = backendOf(table);
  const { sslrootcert, sslcert, sslkey } = backend.target;
  const otherwise = (key: string) => ({
    otherwise: (says: string) => problems.add(["backends", index, key], says),
  });
  const fromUrl = (parameter: string) => ({
    otherwise: (says: string) => problems.add(["backends", index, "url"], `has ${parameter}, which ${says}`),
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
    problems.add(
      ["backends", index, "url"],
      `has sslkey, which names ${sslkey}, which is not the key of ${sslcert}`,
    );
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
