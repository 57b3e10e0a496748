import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { readCredentials, UnusableCredentials } from "./introspection/read_credentials.ts";
import { type IssuersOutside, secretsOf } from "./issuer_parts.ts";
import type { IssuerSettings } from "./schema.ts";

/** What a key set is made of; keys from files are read anew each time. */
export function termsOfKeys(settings: IssuerSettings): string | null {
  const { name, url, jwks_url, jwks_hosts, algorithms, insecure_http, signing_keys } = settings;
  if (signing_keys !== undefined) return null;
  return JSON.stringify({ name, url, jwks_url, jwks_hosts, algorithms, insecure_http });
}

/** What an introspection is made of, the contents of its files too; `null` where they cannot be used. */
export async function termsOfIntrospection(
  settings: IssuerSettings,
  outside: IssuersOutside,
): Promise<string | null> {
  const { name, url, issuer, introspection, insecure_http } = settings;
  if (introspection === undefined) return null;
  const secrets = secretsOf(outside);
  const digest = createHash("sha256");
  const noting = <T extends string | undefined>(text: T): T => {
    digest.update(JSON.stringify([text]));
    return text;
  };
  try {
    await readCredentials(introspection, {
      ...secrets,
      readTextFile: async (path) => noting(await secrets.readTextFile(path)),
      getEnv: (variable) => noting(secrets.getEnv(variable)),
    });
  } catch (error) {
    if (error instanceof UnusableCredentials) return null;
    throw error;
  }
  return JSON.stringify({ name, url, issuer, introspection, insecure_http, read: digest.digest("base64") });
}

/** What a validator is made of; not its program, which may be replaced at any time. */
export function termsOfValidator(
  { name, validator }: IssuerSettings,
  { baseDirectory = "." }: IssuersOutside,
): string {
  return JSON.stringify({ name, validator, directory: resolve(baseDirectory) });
}
