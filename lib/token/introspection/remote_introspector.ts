// In: a token that says nothing itself, or whose revocation is to be seen, and who the proxy is to its issuer.
// Out: what the issuer says of it, in the names of claims, or a TokenRefused that says why there is nothing.
// RFC 7662 (token introspection), RFC 6749 section 2.3, RFC 7523 and RFC 8705 (who asks).

import { createHash } from "node:crypto";
import { isB64token } from "../../b64token.ts";
import { DocumentUnavailable, exchange, nameOf, readBody, requireSuccess } from "../fetch_document.ts";
import { TokenRefused } from "../refused_token.ts";
import { parseStrictJsonObject } from "../strict_json.ts";
import type { TokenEvent } from "../token_event.ts";
import { Breaker } from "./breaker.ts";
import { authenticateClient, type ClientCredentials } from "./client_authentication.ts";
import { claimsOfAnswer, NoAnswer } from "./introspection_answer.ts";
import { isTelling, ProxyRefused, refusalOf } from "./introspection_refusal.ts";
import type { IntrospectionProblem, Introspector } from "./introspector.ts";
import { Places } from "./places.ts";
import type { IntrospectionSettings } from "./schema.ts";

/** Most questions under way to one issuer. */
export const MAX_AT_ONCE = 32;

/** What an introspector needs. */
export interface RemoteIntrospectorOptions {
  /** Name of the issuer, for events. */
  readonly issuer: string;
  /** The `iss` to expect. */
  readonly iss: string;
  readonly settings: IntrospectionSettings;
  readonly insecureHttp: boolean;
  readonly credentials: ClientCredentials;
  /** Finds where to ask; called again after an outage. */
  readonly findEndpoint: (signal: AbortSignal) => Promise<URL>;
  /** Shows the client certificate where the credentials have one. */
  readonly fetch: typeof fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly report: (event: TokenEvent) => void;
  /** Gives back what `fetch` holds. */
  readonly close?: () => void;
}

/**
 * An issuer's introspection endpoint. Everyone who asks about one token waits for the same answer, only so many questions
 * are under way, and an issuer that does not answer is not waited for by each login in turn.
 */
export class RemoteIntrospector implements Introspector {
  readonly #options: RemoteIntrospectorOptions;
  readonly #closing = new AbortController();
  readonly #places = new Places(MAX_AT_ONCE);
  readonly #underWay = new Map<string, Promise<Record<string, unknown>>>();
  readonly #breaker: Breaker;
  #endpoint?: Promise<URL>;
  #isRefused = false;
  /** A question about a token of ours is under way. */
  #trial?: Promise<void>;

  constructor(options: RemoteIntrospectorOptions) {
    this.#options = options;
    this.#breaker = new Breaker(options.now);
  }

  get rememberForMs(): number {
    return this.#options.settings.remember_for;
  }

  async introspect(token: string): Promise<Record<string, unknown>> {
    // Nothing else could be a token of the issuer's.
    if (!isB64token(token)) {
      throw new TokenRefused("not_a_token", "The password has characters that no token has");
    }
    const key = createHash("sha256").update(token).digest("base64url");
    let asking = this.#underWay.get(key);
    if (asking === undefined) {
      asking = this.#askInTurn(token).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, asking);
    }
    return await asking;
  }

  async probe(): Promise<IntrospectionProblem | undefined> {
    try {
      await this.#ask(`not-a-token-${crypto.randomUUID()}`);
    } catch (error) {
      if (error instanceof TokenRefused) return undefined;
      if (error instanceof ProxyRefused) {
        return { key: keyOfProof(this.#options.settings), message: error.message };
      }
      if (error instanceof DocumentUnavailable) return { key: "endpoint", message: error.message };
      throw error;
    }
    const message = "It calls a token active that nobody has issued; every login would be let in";
    return { key: "endpoint", message };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([...this.#underWay.values(), this.#trial]);
    this.#options.close?.();
  }

  async #askInTurn(token: string): Promise<Record<string, unknown>> {
    const { settings } = this.#options;
    const breaker = this.#breaker;
    if (breaker.refuses) throw this.#unavailable("it has not answered, and is given time to recover");
    if (!await this.#places.take(settings.timeout, this.#closing.signal)) {
      throw this.#unavailable("too many questions to it are under way");
    }
    try {
      // Asked again behind the line: while one waits there the breaker may have opened.
      if (!breaker.admits()) throw this.#unavailable("it has not answered, and is given time to recover");
      const claims = await this.#ask(token);
      this.#answered();
      return claims;
    } catch (error) {
      if (error instanceof DocumentUnavailable) {
        this.#failed(error);
        throw this.#unavailable(error.message);
      }
      // A refusal is an answer too, except for those made up above.
      if (error instanceof TokenRefused && error.fault !== "issuer_unavailable") this.#answered();
      throw error;
    } finally {
      this.#places.give();
    }
  }

  #answered(): void {
    const { issuer, report } = this.#options;
    this.#isRefused = false;
    if (this.#breaker.succeeded()) report({ kind: "introspection_resumed", issuer });
  }

  #failed(error: DocumentUnavailable): void {
    if (this.#closing.signal.aborted) return;
    const { issuer, report } = this.#options;
    const problem = error.message;
    if (error instanceof ProxyRefused) {
      // Told once, not for every login.
      if (!this.#isRefused) report({ kind: "introspection_refused", issuer, problem });
      this.#isRefused = true;
    }
    const hasOpened = this.#breaker.failed();
    if (hasOpened) {
      this.#endpoint = undefined;
      report({ kind: "introspection_stopped", issuer, problem });
    }
    if (this.#breaker.refuses) this.#askAboutNothing();
  }

  /**
   * It may be a stranger's token that the issuer, or what guards it, fails at: `../../etc/passwd` is one. Whoever sends a few
   * must not keep everyone else out, so an answer about a token of ours closes the breaker.
   */
  #askAboutNothing(): void {
    this.#trial ??= this.probe()
      .then((problem) => {
        if (problem === undefined) this.#answered();
      }, () => {})
      .finally(() => this.#trial = undefined);
  }

  #unavailable(why: string): TokenRefused {
    return new TokenRefused("issuer_unavailable", `Issuer "${this.#options.issuer}" cannot be asked: ${why}`);
  }

  async #ask(token: string): Promise<Record<string, unknown>> {
    const { iss, settings, insecureHttp, credentials, fetch, now } = this.#options;
    const url = await this.#findEndpoint();
    const { headers, form } = await authenticateClient(credentials, { iss, nowMs: now() });
    const request = {
      method: "POST",
      headers: new Headers({ ...headers, "content-type": "application/x-www-form-urlencoded" }),
      body: new URLSearchParams({ token, token_type_hint: "access_token", ...form }).toString(),
    } as const;
    const { signal } = this.#closing;
    const asking = { url, request, fetch, signal, insecureHttp, timeoutMs: settings.timeout };
    const { status, body } = await exchange(asking, async (response) => {
      const { status } = response;
      if (!isTelling(status)) await requireSuccess(response, url);
      return { status, body: await readBody(response, url) };
    });
    if (isTelling(status)) throw refusalOf({ status, body, url });
    try {
      return claimsOfAnswer(parseStrictJsonObject(body), { token, iss });
    } catch (error) {
      if (error instanceof SyntaxError) throw new DocumentUnavailable(`${nameOf(url)}: ${error.message}`);
      if (error instanceof NoAnswer) throw new DocumentUnavailable(`${nameOf(url)} ${error.message}`);
      throw error;
    }
  }

  async #findEndpoint(): Promise<URL> {
    const finding = this.#endpoint ??= this.#options.findEndpoint(this.#closing.signal);
    try {
      return await finding;
    } catch (error) {
      if (this.#endpoint === finding) this.#endpoint = undefined;
      throw error;
    }
  }
}

function keyOfProof({ auth, client_secret_file }: IntrospectionSettings): string {
  switch (auth) {
    case "client_secret_basic":
    case "client_secret_post":
      return client_secret_file === undefined ? "client_secret_env" : "client_secret_file";
    case "private_key_jwt":
      return "private_key";
    case "tls_client_auth":
      return "certificate";
  }
}
