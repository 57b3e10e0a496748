import { createPublicKey, type JsonWebKey, X509Certificate } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";
import type { Algorithm } from "./algorithms.ts";
import {
  importVerificationKey,
  MAX_KEYS_TRIED,
  type VerificationKey,
  VerificationKeys,
} from "./verification_keys.ts";
import { whyUnreadable } from "./why_unreadable.ts";

/** How key files are reached. */
export interface KeyFiles {
  readonly readTextFile: (path: string) => Promise<string>;
  /** Names of the files in a directory. */
  readonly listDirectory: (path: string) => Promise<readonly string[]>;
  /** What relative paths are relative to. */
  readonly baseDirectory: string;
}

/** The keys of some files, or every problem with them. */
export type SigningKeys =
  | { readonly kind: "keys"; readonly keys: VerificationKeys }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** The key files of the disk. */
export function keyFilesOfDisk(baseDirectory: string): KeyFiles {
  return { readTextFile: (path) => Deno.readTextFile(path), listDirectory, baseDirectory };
}

/**
 * Reads PEM public keys and X.509 certificates, several to a file. A certificate is only the envelope of its key: the
 * operator has put it there, so neither its dates nor its issuer are looked at.
 *
 * @see RFC 7468
 */
export async function readSigningKeys(
  paths: readonly string[],
  { algorithms, files }: { algorithms: readonly Algorithm[]; files: KeyFiles },
): Promise<SigningKeys> {
  const keys: VerificationKey[] = [];
  const problems: string[] = [];
  for (const path of paths) {
    try {
      for (const file of await expand(path, files)) {
        keys.push(...await keysOfFile(file, { algorithms, text: await readKeyFile(file, files) }));
      }
    } catch (error) {
      if (!(error instanceof BadKeyFile)) throw error;
      problems.push(error.message);
    }
  }
  for (const algorithm of algorithms) {
    // PEM has no kid: more than are tried for one token would be keys that never match.
    if (keys.filter((key) => key.byAlgorithm.has(algorithm)).length > MAX_KEYS_TRIED) {
      problems.push(
        `signing_keys has more than ${MAX_KEYS_TRIED} keys for ${algorithm}; remove old ones or use jwks_url`,
      );
    }
  }
  if (problems.length > 0) return { kind: "problems", problems };
  return { kind: "keys", keys: new VerificationKeys(keys, { matchesAnyKid: true }) };
}

class BadKeyFile extends Error {}

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

async function keysOfFile(
  file: string,
  { algorithms, text }: { algorithms: readonly Algorithm[]; text: string },
): Promise<VerificationKey[]> {
  const blocks = [...text.matchAll(PEM_BLOCK)];
  if (blocks.length === 0 || blocks.length !== text.split("-----BEGIN ").length - 1) {
    throw new BadKeyFile(`Key file ${file} is not PEM; give public keys or certificates in PEM form`);
  }
  const keys: VerificationKey[] = [];
  for (const [pem, label] of blocks) {
    const key = await importVerificationKey(publicJwk(pem, { label, file }), algorithms);
    if (typeof key === "string") {
      throw new BadKeyFile(`Key file ${file} cannot be used: a key in it ${key} (${algorithms.join(", ")})`);
    }
    keys.push(key);
  }
  return keys;
}

function publicJwk(pem: string, { label, file }: { label: string; file: string }): JsonWebKey {
  if (label.endsWith("PRIVATE KEY")) {
    throw new BadKeyFile(
      `Key file ${file} holds a private key; give only the public key, as openssl pkey -pubout writes it`,
    );
  }
  try {
    switch (label) {
      case "CERTIFICATE":
        return new X509Certificate(pem).publicKey.export({ format: "jwk" });
      case "PUBLIC KEY":
      case "RSA PUBLIC KEY":
        return createPublicKey(pem).export({ format: "jwk" });
    }
  } catch {
    throw new BadKeyFile(
      `Key file ${file} holds a ${label} that cannot be read; give RSA of 2048 to 4096 bits, EC or Ed25519`,
    );
  }
  throw new BadKeyFile(`Key file ${file} holds a ${label}; give PUBLIC KEY or CERTIFICATE blocks only`);
}

async function readKeyFile(file: string, { readTextFile }: KeyFiles): Promise<string> {
  try {
    return await readTextFile(file);
  } catch (error) {
    throw new BadKeyFile(`Key file ${file} cannot be read: ${whyUnreadable(error, `--allow-read=${file}`)}`);
  }
}

/** A path, or the files whose names match its last part. */
async function expand(path: string, { listDirectory, baseDirectory }: KeyFiles): Promise<string[]> {
  const full = resolve(baseDirectory, path);
  if (!/[*?]/.test(path)) return [full];
  if (/[*?]/.test(dirname(path))) {
    throw new BadKeyFile(`Key files ${path}: * and ? are for the file name only`);
  }
  const wanted = fileNamePattern(basename(full));
  let names: readonly string[];
  try {
    names = await listDirectory(dirname(full));
  } catch (error) {
    throw new BadKeyFile(
      `Key files ${path} cannot be listed: ${whyUnreadable(error, `--allow-read=${dirname(full)}`)}`,
    );
  }
  const found = names.filter((name) => wanted.test(name)).sort();
  if (found.length === 0) throw new BadKeyFile(`Key files ${path} match no file; correct the path`);
  return found.map((name) => join(dirname(full), name));
}

/** As in a shell, `*` does not match the names that begin with a dot: a Kubernetes mount is full of them. */
function fileNamePattern(glob: string): RegExp {
  const source = glob.replace(/[^*?]+|\*+|\?/g, (part) => {
    if (part === "?") return ".";
    return part.startsWith("*") ? ".*" : RegExp.escape(part);
  });
  return new RegExp(glob.startsWith(".") ? `^${source}$` : `^(?!\\.)${source}$`, "s");
}

async function listDirectory(path: string): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(path)) if (!entry.isDirectory) names.push(entry.name);
  return names;
}
