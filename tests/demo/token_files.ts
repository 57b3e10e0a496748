import { join } from "node:path";
import type { OidcIssuer } from "../support/oidc_issuer.ts";
import { type Visitor, VISITORS } from "./visitors.ts";

const LIFETIME_SECONDS = 300;
const RENEWAL_MS = 200_000;

/** A file with a fresh token for each visitor, for as long as the demo runs. */
export class TokenFiles implements AsyncDisposable {
  readonly #directory: string;
  readonly #issuer: OidcIssuer;
  readonly #timer: ReturnType<typeof setInterval>;
  #renewal: Promise<void> = Promise.resolve();

  private constructor(directory: string, issuer: OidcIssuer) {
    this.#directory = directory;
    this.#issuer = issuer;
    this.#timer = setInterval(() => this.#renewal = this.#renew(), RENEWAL_MS);
  }

  /** Writes the files into `directory` and keeps them fresh from then on. */
  static async write(directory: string, issuer: OidcIssuer): Promise<TokenFiles> {
    const files = new TokenFiles(directory, issuer);
    await files.#renew();
    return files;
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
      const token = await this.#issuer.mint({ ...visitor.claims, expiresInSeconds: LIFETIME_SECONDS });
      const path = this.path(visitor);
      await Deno.writeTextFile(`${path}.new`, token, { mode: 0o600 });
      await Deno.rename(`${path}.new`, path); // whoever reads it at this moment gets one or the other, never half
    }
  }
}
