import { join } from "node:path";
import type { OidcIssuer } from "../support/oidc_issuer.ts";
import { type Visitor, VISITORS } from "./visitors.ts";

const LIFETIME_SECONDS = 300;

/** Where the files are to be, and whose tokens are in them. */
export interface TokenFilesOptions {
  readonly directory: string;
  readonly issuer: OidcIssuer;
  /** Default 300. */
  readonly lifetimeSeconds?: number;
}

/** A file with a fresh token for each visitor, for as long as the demo runs. */
export class TokenFiles implements AsyncDisposable {
  readonly #directory: string;
  readonly #issuer: OidcIssuer;
  readonly #lifetimeSeconds: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #renewal: Promise<void> = Promise.resolve();

  private constructor({ directory, issuer, lifetimeSeconds = LIFETIME_SECONDS }: TokenFilesOptions) {
    this.#directory = directory;
    this.#issuer = issuer;
    this.#lifetimeSeconds = lifetimeSeconds;
    // Early enough for whoever has read a token and takes a while to log in with it.
    this.#timer = setInterval(() => this.#renewal = this.#renew(), lifetimeSeconds * 1000 / 2);
  }

  /** Writes the files and keeps them fresh from then on. */
  static async write(options: TokenFilesOptions): Promise<TokenFiles> {
    const files = new TokenFiles(options);
    try {
      await files.#renew();
      return files;
    } catch (thrown) {
      clearInterval(files.#timer);
      throw thrown;
    }
  }

  /** Where a visitor's token is. */
  path({ name }: Visitor): string {
    return join(this.#directory, `${name}.token`);
  }

  /** A visitor's token as it is now. */
  async read(visitor: Visitor): Promise<string> {
    return await Deno.readTextFile(this.path(visitor));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewal;
  }

  async #renew(): Promise<void> {
    for (const visitor of VISITORS) {
      const token = await this.#issuer.mint({ ...visitor.claims, expiresInSeconds: this.#lifetimeSeconds });
      const path = this.path(visitor);
      await Deno.writeTextFile(`${path}.new`, token, { mode: 0o600 });
      await Deno.rename(`${path}.new`, path); // whoever reads it at this moment gets one or the other, never half
    }
  }
}
