import type { Outside } from "../../lib/config/named_file.ts";
import { createAuthority } from "../support/certificates.ts";

const authority = await createAuthority("configuration");
const server = await authority.issueForLoopback();
const other = await authority.issueForLoopback();

/** Files of a directory that is not there: what is not in it does not exist. */
export const PEM = {
  "server.crt": server.certificatePem,
  "server.key": server.keyPem,
  "other.key": other.keyPem,
  "ca.crt": authority.certificatePem,
  "clients-ca.crt": authority.certificatePem,
} as const;

/** An outside that holds these files in `/etc/proxy`, and these variables. */
export function outsideOf(
  files: Readonly<Record<string, string | Error>>,
  variables: Readonly<Record<string, string | Error>> = {},
): Outside {
  const take = (value: string | Error | undefined) => {
    if (value instanceof Error) throw value;
    return value;
  };
  return {
    readTextFile(path) {
      const text = take(files[path.replace("/etc/proxy/", "")]);
      return text === undefined
        ? Promise.reject(new Deno.errors.NotFound("No such file"))
        : Promise.resolve(text);
    },
    getEnv: (name) => take(variables[name]),
  };
}

/** The smallest configuration that can be used. */
export const SMALLEST = `
[listen]
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "corp"
url = "https://login.example.com"
audience = ["proxy"]

[[backends]]
name = "orders"
url = "postgres://app@db1.internal/orders"

[[rules]]
issuer = "corp"
match = "alice"
backend = "orders"
`.trimStart();
