import { formatAddress } from "../address.ts";
import type { ListenAddress } from "../listen_address.ts";
import type { NamedFiles } from "./named_file.ts";
import type { Problems } from "./problem.ts";
import type { KeyPath } from "./toml_document.ts";

/** Notes files that would be written over what is in them, or by two. `read`: what the configuration is read from. */
export function checkOutputs(
  { log, audit }: { readonly log?: string; readonly audit?: string },
  { read, files, problems }: {
    readonly read: readonly string[];
    readonly files: NamedFiles;
    readonly problems: Problems;
  },
): void {
  for (const [output, file] of Object.entries({ log, audit })) {
    if (file === undefined || !read.includes(files.absolute(file))) continue;
    const says = `names ${file}, which the configuration is read from: choose another file`;
    problems.add([output, "file"], says);
  }
  if (log === undefined || audit === undefined || files.absolute(log) !== files.absolute(audit)) return;
  const says = `names ${audit}, which is log.file too: give the audit trail a file of its own`;
  problems.add(["audit", "file"], says);
}

/** Addresses to listen on, by the table that they are in. */
type Addresses = ListenAddress | readonly ListenAddress[] | undefined;

/** Notes addresses that are listened on twice: the system would call the second one another program's. */
export function checkAddresses(
  { listen, admin }: { readonly listen: Addresses; readonly admin: Addresses },
  problems: Problems,
): void {
  const ofClients = placed("listen", listen);
  const ofAdmin = placed("admin", admin);
  for (const addresses of [ofClients, ofAdmin]) {
    for (const [index, { name, path }] of addresses.entries()) {
      const isThere = addresses.slice(0, index).some((one) => one.name === name);
      if (isThere) problems.add(path, "is there twice: remove one");
    }
  }
  for (const { name, path } of ofAdmin) {
    if (!ofClients.some((one) => one.name === name)) continue;
    problems.add(path, "is in listen.address too: choose another port");
  }
}

/** Each address whose port is not for the system to choose, and where it is in the configuration. */
function placed(table: string, addresses: Addresses = []) {
  const isOne = !Array.isArray(addresses);
  return [addresses].flat().flatMap(({ host, port }: ListenAddress, index) => {
    const path: KeyPath = isOne ? [table, "address"] : [table, "address", index];
    return port === 0 ? [] : [{ name: formatAddress(host, port), path }];
  });
}
