import type { ListenSettings } from "../stream/listen_schema.ts";
import type { Listen } from "./configuration.ts";
import { isPair, type NamedFiles, UnusableFile } from "./named_file.ts";
import type { Problems } from "./problem.ts";

/** Reads the certificates and the key of `[listen]`; undefined if they cannot be used, which becomes problems. */
export async function loadListen(
  settings: ListenSettings,
  { files, problems }: { files: NamedFiles; problems: Problems },
): Promise<Listen | undefined> {
  if (settings.certificate === undefined || settings.private_key === undefined) return settings;
  const { certificate, private_key, client_ca } = settings;
  const certificates = await attempt(() => files.certificates(certificate), {
    otherwise: (says) => problems.add(["listen", "certificate"], says),
  });
  const privateKey = await attempt(() => files.privateKey(private_key), {
    otherwise: (says) => problems.add(["listen", "private_key"], says),
  });
  const clientAuthorities = client_ca === undefined
    ? undefined
    : await attempt(() => files.certificates(client_ca), {
      otherwise: (says) => problems.add(["listen", "client_ca"], says),
    });
  if (certificates === undefined || privateKey === undefined) return undefined;
  if (isPair(certificates, privateKey)) {
    return { ...settings, tls: { certificates, privateKey }, clientAuthorities };
  }
  problems.add(["listen", "private_key"], `names ${private_key}, which is not the key of ${certificate}`);
  return undefined;
}

/** What a file or variable holds, or undefined once `otherwise` has been told why it cannot be used. */
export async function attempt<T>(
  read: () => T | Promise<T>,
  { otherwise }: { otherwise: (says: string) => void },
): Promise<T | undefined> {
  try {
    return await read();
  } catch (thrown) {
    if (!(thrown instanceof UnusableFile)) throw thrown;
    otherwise(thrown.message);
    return undefined;
  }
}
