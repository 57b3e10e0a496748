import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { importJWK, type JWK } from "jose";
import { hasPassphrase } from "../../pem.ts";
import { Secret } from "../../secret.ts";
import { type Algorithm, ALGORITHM_NAMES, ALGORITHMS } from "../algorithms.ts";
import { whyUnreadable } from "../why_unreadable.ts";
import type { ClientCredentials } from "./client_authentication.ts";
import type { IntrospectionSettings } from "./schema.ts";

/** Where secrets are kept. */
export interface SecretsOutside {
  /** What relative paths are relative to. */
  readonly baseDirectory: string;
  readonly readTextFile: (path: string) => Promise<string>;
  readonly getEnv: (name: string) => string | undefined;
}

/** A key of the table `introspection` names something that cannot be used; the message is a sentence. */
export class UnusableCredentials extends Error {
  override readonly name = "UnusableCredentials";
  readonly key: keyof IntrospectionSettings;

  constructor(key: keyof IntrospectionSettings, message: string) {
    super(message);
    this.key = key;
  }
}

/**
 * Reads what proves to the issuer who the proxy is.
 *
 * @throws {UnusableCredentials}
 */
export async function readCredentials(
  settings: IntrospectionSettings,
  outside: SecretsOutside,
): Promise<ClientCredentials> {
  const { auth: method, client_id: clientId } = settings;
  switch (method) {
    case "client_secret_basic":
    case "client_secret_post":
      return { method, clientId, secret: await readSecret(settings, outside) };
    case "private_key_jwt": {
      const key = parsePrivateKey((await readFile("private_key", { settings, outside })).reveal());
      const algorithm = algorithmFor(key, settings.algorithm);
      const signingKey = await importJWK(key.export({ format: "jwk" }) as JWK, algorithm);
      return { method, clientId, key: signingKey as CryptoKey, algorithm, keyId: settings.key_id };
    }
    case "tls_client_auth": {
      const certificates = (await readFile("certificate", { settings, outside })).reveal();
      const privateKey = await readFile("private_key", { settings, outside });
      checkPair(certificates, parsePrivateKey(privateKey.reveal()));
      return { method, clientId, certificates, privateKey };
    }
  }
}

async function readSecret(settings: IntrospectionSettings, outside: SecretsOutside): Promise<Secret> {
  const { client_secret_file, client_secret_env } = settings;
  if (client_secret_file === undefined) return readVariable(client_secret_env!, outside);
  const text = (await readFile("client_secret_file", { settings, outside })).reveal();
  // Editors put a newline behind the last line.
  const secret = text.replace(/\r?\n$/, "");
  if (secret !== "") return new Secret(secret);
  throw new UnusableCredentials("client_secret_file", `The file ${client_secret_file} is empty`);
}

function readVariable(name: string, { getEnv }: SecretsOutside): Secret {
  const key = "client_secret_env";
  try {
    const value = getEnv(name);
    if (value !== undefined && value !== "") return new Secret(value);
  } catch (error) {
    const why = whyUnreadable(error, `--allow-env=${name}`);
    throw new UnusableCredentials(key, `The environment variable ${name} cannot be read: ${why}`);
  }
  throw new UnusableCredentials(key, `The environment variable ${name} is not set`);
}

async function readFile(
  key: "client_secret_file" | "private_key" | "certificate",
  { settings, outside }: { settings: IntrospectionSettings; outside: SecretsOutside },
): Promise<Secret> {
  const path = resolve(outside.baseDirectory, settings[key]!);
  try {
    return new Secret(await outside.readTextFile(path));
  } catch (error) {
    const why = whyUnreadable(error, `--allow-read=${path}`);
    throw new UnusableCredentials(key, `The file ${settings[key]} cannot be read: ${why}`);
  }
}

function parsePrivateKey(pem: string): KeyObject {
  if (hasPassphrase(pem)) {
    throw new UnusableCredentials("private_key", "The key has a passphrase: remove it with openssl pkey");
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new UnusableCredentials("private_key", "The file holds no private key in PEM form");
  }
}

/** The algorithm of the configuration if the key is fit for it, or else the first that it is fit for. */
function algorithmFor(key: KeyObject, wanted: Algorithm | undefined): Algorithm {
  const { kty, crv } = key.export({ format: "jwk" });
  const fitting = ALGORITHM_NAMES.filter((name) => {
    const kind: { readonly kty: string; readonly crv?: string } = ALGORITHMS[name];
    return kind.kty === kty && (kind.crv === undefined || kind.crv === crv);
  });
  if (fitting.length === 0) {
    throw new UnusableCredentials("private_key", "The key is of no kind that can sign an assertion");
  }
  if (wanted === undefined || fitting.includes(wanted)) return wanted ?? fitting[0];
  throw new UnusableCredentials("algorithm", `The key can sign ${fitting.join(", ")} only`);
}

function checkPair(certificates: string, privateKey: KeyObject): void {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certificates);
  } catch {
    throw new UnusableCredentials("certificate", "The file holds no certificate in PEM form");
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new UnusableCredentials("private_key", "The key is not that of the certificate");
  }
}
