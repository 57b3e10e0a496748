import { createPrivateKey, X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { PSEUDONYM_KEY_MIN_BYTES } from "../authorize/schema.ts";
import { atOnce, type LongWork, type Pace } from "../long_work.ts";
import { certificatesIn, hasPassphrase } from "../pem.ts";
import { Secret } from "../secret.ts";
import type { IssuerSettings } from "../token/schema.ts";

/** What the loader needs of the world around it. */
export interface Outside {
  readonly readTextFile: (path: string) => Promise<string>;
  readonly getEnv: (name: string) => string | undefined;
  /** How work is done that may take long; default: from beginning to end, as nobody waits for a program that starts. */
  readonly pace?: Pace;
  /**
   * What is wrong with issuers whose tables are good, by the name of each, a sentence each: keys that cannot be read or
   * fetched. Without it they are looked at only later.
   */
  readonly checkIssuers?: (
    issuers: readonly IssuerSettings[],
    about: { readonly baseDirectory: string; readonly maxTokenBytes?: number },
  ) => Promise<readonly IssuerFault[]>;
}

/** What {@link Outside.checkIssuers} has found. */
export interface IssuerFault {
  readonly issuer: string;
  /** The key to look at first, by the names that lead to it in the issuer's table; without it, where its keys are. */
  readonly key?: readonly string[];
  readonly message: string;
}

/** A value of the configuration names something that cannot be used; the message follows the key's name. */
export class UnusableFile extends Error {
  override readonly name = "UnusableFile";
}

/** What is read from the files and variables that the configuration names. */
export class NamedFiles {
  readonly #outside: Outside;
  readonly #directory: string;
  readonly #read = new Set<string>();
  readonly #variables = new Set<string>();

  /** Relative paths are relative to `directory`. */
  constructor(outside: Outside, directory: string) {
    this.#outside = outside;
    this.#directory = directory;
  }

  /** The paths asked for so far, absolute. */
  get paths(): readonly string[] {
    return [...this.#read];
  }

  /** The variables of the environment asked for so far. */
  get variables(): readonly string[] {
    return [...this.#variables];
  }

  absolute(path: string): string {
    return resolve(this.#directory, path);
  }

  /**
   * PEM certificates, one or a chain.
   *
   * @throws {UnusableFile}
   */
  async certificates(path: string): Promise<string> {
    const text = await this.#text(path);
    const blocks = certificatesIn(text);
    if (blocks.length === 0) throw new UnusableFile(`names ${path}, which holds no certificate in PEM form`);
    const { pace = atOnce } = this.#outside;
    if (await pace(areReadable(blocks))) return text;
    // node:crypto's own words are those of an ASN.1 parser, which help nobody.
    throw new UnusableFile(`names ${path}, which holds a certificate that cannot be read: export it again`);
  }

  /**
   * A PEM private key, to be read without a passphrase.
   *
   * @throws {UnusableFile}
   */
  async privateKey(path: string): Promise<Secret> {
    const text = await this.#text(path);
    if (hasPassphrase(text)) {
      throw new UnusableFile(`names ${path}, whose key has a passphrase: remove it with openssl pkey`);
    }
    if (succeeds(() => createPrivateKey(text))) return new Secret(text);
    throw new UnusableFile(`names ${path}, which holds no private key in PEM form`);
  }

  /**
   * A password that is alone in a file; the newline that editors put behind it is not part of it.
   *
   * @throws {UnusableFile}
   */
  async password(path: string): Promise<Secret> {
    const text = (await this.#text(path)).replace(/\r?\n$/, "");
    if (text === "") throw new UnusableFile(`names ${path}, which is empty`);
    return new Secret(text);
  }

  /**
   * The key that pseudonyms are made with: a line of text, so that nothing of it is lost in reading.
   *
   * @throws {UnusableFile}
   */
  async pseudonymKey(path: string): Promise<Secret> {
    const text = (await this.#text(path)).replace(/\r?\n$/, "");
    const advice = "make one with openssl rand -base64 48";
    if (text.includes("\ufffd")) throw new UnusableFile(`names ${path}, which is not text: ${advice}`);
    if (new TextEncoder().encode(text).length >= PSEUDONYM_KEY_MIN_BYTES) return new Secret(text);
    throw new UnusableFile(
      `names ${path}, which is shorter than ${PSEUDONYM_KEY_MIN_BYTES} bytes: ${advice}`,
    );
  }

  /**
   * A password from a variable of the environment.
   *
   * @throws {UnusableFile}
   */
  variable(name: string): Secret {
    this.#variables.add(name);
    try {
      const value = this.#outside.getEnv(name);
      if (value !== undefined && value !== "") return new Secret(value);
    } catch (thrown) {
      throw new UnusableFile(
        `names the environment variable ${name}, ${reasonOf(thrown, `--allow-env=${name}`)}`,
      );
    }
    throw new UnusableFile(`names the environment variable ${name}, which is not set`);
  }

  async #text(path: string): Promise<string> {
    const full = this.absolute(path);
    this.#read.add(full);
    try {
      return await this.#outside.readTextFile(full);
    } catch (thrown) {
      throw new UnusableFile(`names ${path}, ${reasonOf(thrown, `--allow-read=${full}`)}`);
    }
  }
}

/** Why a file or variable cannot be read, and what to do about it, as a clause. */
export function reasonOf(thrown: unknown, permission: string): string {
  if (thrown instanceof Deno.errors.NotCapable) return `which Deno may not read: start with ${permission}`;
  if (thrown instanceof Deno.errors.NotFound) return "which does not exist";
  if (thrown instanceof Deno.errors.PermissionDenied) {
    return "which this user may not read: change its owner or mode";
  }
  if (thrown instanceof Deno.errors.IsADirectory) return "which is a directory";
  // Other messages of the operating system name no secret: they are about the path.
  return `which cannot be read: ${thrown instanceof Error ? thrown.message : "unknown error"}`;
}

/** Whether a certificate was made for this key. */
export function isPair(certificates: string, privateKey: Secret): boolean {
  return succeeds(() => {
    if (!new X509Certificate(certificates).checkPrivateKey(createPrivateKey(privateKey.reveal()))) {
      throw new Error();
    }
  });
}

/** A bundle of a cloud has a hundred and more. */
function* areReadable(certificates: readonly string[]): LongWork<boolean> {
  for (const certificate of certificates) {
    yield;
    if (!succeeds(() => new X509Certificate(certificate))) return false;
  }
  return true;
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
