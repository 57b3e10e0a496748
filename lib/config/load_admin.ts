import type { AdminSettings } from "../observe/admin_schema.ts";
import type { Admin } from "./configuration.ts";
import { attempt } from "./load_listen.ts";
import { isPair, type NamedFiles } from "./named_file.ts";
import type { Problems } from "./problem.ts";

/** Reads the certificate and the key of `[admin]`; undefined if they cannot be used, which becomes problems. */
export async function loadAdmin(
  settings: AdminSettings,
  { files, problems }: { files: NamedFiles; problems: Problems },
): Promise<Admin | undefined> {
  const { certificate, private_key } = settings;
  if (certificate === undefined || private_key === undefined) return settings;
  const certificates = await attempt(() => files.certificates(certificate), {
    otherwise: (says) => problems.add(["admin", "certificate"], says),
  });
  const privateKey = await attempt(() => files.privateKey(private_key), {
    otherwise: (says) => problems.add(["admin", "private_key"], says),
  });
  if (certificates === undefined || privateKey === undefined) return undefined;
  if (isPair(certificates, privateKey)) return { ...settings, tls: { certificates, privateKey } };
  problems.add(["admin", "private_key"], `names ${private_key}, which is not the key of ${certificate}`);
  return undefined;
}
