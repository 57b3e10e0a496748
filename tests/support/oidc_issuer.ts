// In: accounts and a private authority. Out: a real OIDC issuer on loopback, and tokens of it, good and forged.
// Chapter: who vouches for the people in the tests.

import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import type { Authority, IssuedCertificate } from "./certificates.ts";
import { forgeToken, type TokenPart } from "./forged_token.ts";
import {
  type Claims,
  type ClientMetadata,
  CLIENTS,
  createProvider,
  type TokenOrder,
} from "./oidc_provider.ts";

/** What an issuer is made with. */
export interface IssuerOptions {
  /** Signs the issuer's certificate; without it the issuer speaks plain http. */
  readonly authority?: Authority;
  /** JOSE names; a key for each, the first one's is the default. Default ES256 only. */
  readonly algorithms?: readonly string[];
  /** Claims by account name, for whoever logs in to the device flow's pages. */
  readonly accounts?: Readonly<Record<string, Claims>>;
  /** Clients besides the usual ones, each with its way to say who it is. */
  readonly clients?: readonly ClientMetadata[];
}

interface SigningKey {
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
}

/** A real OIDC issuer (npm `oidc-provider`) on 127.0.0.1, stopped when it goes out of scope. */
export class OidcIssuer implements AsyncDisposable {
  /** The issuer's identifier, such as `https://localhost:35017`. */
  readonly url: string;
  /** Trusts the issuer's certificate; hand it to what is tested. */
  readonly fetch: typeof fetch;
  /** Paths that were asked for, in order: how often was the key set fetched? */
  readonly requestedPaths: string[] = [];
  /** While true, every request is answered by 503. */
  isDown = false;
  readonly #server: Server;
  readonly #client: Deno.HttpClient;
  readonly #options: IssuerOptions;
  readonly #orders = new Map<string, TokenOrder>();
  #keys: readonly SigningKey[] = [];
  #handler: RequestListener = (_request, response) => response.writeHead(503).end();

  private constructor(server: Server, options: IssuerOptions) {
    const { authority } = options;
    this.#server = server;
    this.#options = options;
    this.#client = Deno.createHttpClient({ caCerts: authority ? [authority.certificatePem] : [] });
    this.fetch = (input, init) => {
      const trusting: RequestInit & { client: Deno.HttpClient } = { ...init, client: this.#client };
      return fetch(input, trusting);
    };
    this.url = `${authority ? "https" : "http"}://localhost:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => {
      this.requestedPaths.push(request.url!);
      if (this.isDown) response.writeHead(503).end();
      else this.#handler(request, response);
    });
  }

  /** Starts an issuer. It listens before it is configured, because its URL holds the port. */
  static async start(options: IssuerOptions = {}): Promise<OidcIssuer> {
    const server = await listen(options.authority);
    const issuer = new OidcIssuer(server, options);
    await issuer.rotateKeys();
    return issuer;
  }

  /** Where the public keys are. */
  get jwksUrl(): string {
    return `${this.url}/jwks`;
  }

  /** The key that signs at present. */
  get signingKey(): CryptoKey {
    return this.#keys[0].privateKey;
  }

  /** The public keys at present, as the key set shows them. */
  get publicKeys(): readonly JWK[] {
    return this.#keys.map((key) => key.publicJwk);
  }

  /**
   * Makes new keys and signs with them from now on. Tokens of the old ones are no longer good, unless the old keys stay
   * in the key set for a while, as a careful issuer has it.
   */
  async rotateKeys({ keepOld = false } = {}): Promise<void> {
    const fresh = await Promise.all((this.#options.algorithms ?? ["ES256"]).map(generateSigningKey));
    this.#keys = keepOld ? [...fresh, ...this.#keys] : fresh;
    this.#handler = createProvider({
      url: this.url,
      keys: this.#keys.map((key) => key.privateJwk as JsonWebKey & { alg: string }),
      accounts: this.#options.accounts ?? {},
      clients: this.#options.clients ?? [],
      clientAuthority: this.#options.authority?.certificatePem,
      findOrder: (body) => body?.order === undefined ? undefined : this.#orders.get(body.order),
    });
  }

  /** An access token that the issuer really issues, by its client_credentials grant. */
  async mint(order: TokenOrder = {}): Promise<string> {
    return await this.#mint(order, (form) => this.post("/token", form, CLIENTS.service));
  }

  /** One that is bound to the certificate that its client has shown to the issuer in TLS (RFC 8705). */
  async mintForCertificate(certificate: IssuedCertificate, order: TokenOrder = {}): Promise<string> {
    using client = Deno.createHttpClient({
      caCerts: [this.#options.authority!.certificatePem],
      cert: certificate.certificatePem,
      key: certificate.keyPem,
    });
    return await this.#mint(order, (form) => this.post("/token", form, { ...CLIENTS.bound, http: client }));
  }

  /** One that is bound to a key by a DPoP proof (RFC 9449). */
  async mintForKey({ privateKey, publicKey }: CryptoKeyPair, order: TokenOrder = {}): Promise<string> {
    const proof = await new SignJWT({ htm: "POST", htu: `${this.url}/token`, jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk: await exportJWK(publicKey) })
      .setIssuedAt()
      .sign(privateKey);
    return await this.#mint(order, (form) => this.post("/token", form, { ...CLIENTS.service, dpop: proof }));
  }

  async #mint(
    order: TokenOrder,
    ask: (form: Record<string, string>) => Promise<Response>,
  ): Promise<string> {
    const id = crypto.randomUUID();
    this.#orders.set(id, order);
    const response = await ask({ grant_type: "client_credentials", order: id });
    this.#orders.delete(id);
    const reply = await response.json();
    if (!response.ok) throw new Error(`The issuer issued no token: ${JSON.stringify(reply)}`);
    return reply.access_token;
  }

  /**
   * A token that the issuer would never issue: this payload, signed by its key or another one. The header is that of a
   * good token save for what is given; `key: null` leaves the signature empty.
   */
  async forge(
    payload: TokenPart,
    header: TokenPart = {},
    options: { key?: CryptoKey | null } = {},
  ): Promise<string> {
    const { alg, kid } = this.#keys[0].publicJwk;
    const key = options.key === undefined ? this.signingKey : options.key ?? undefined;
    return await forgeToken(
      typeof header === "string" ? header : { alg, typ: "at+jwt", kid, ...header },
      payload,
      key,
    );
  }

  /** Posts a form to the issuer, as a client that knows its secret or as a public one. */
  async post(
    path: string,
    form: Record<string, string>,
    client: {
      readonly id: string;
      readonly secret?: string;
      /** A DPoP proof. */
      readonly dpop?: string;
      /** Shows a certificate. */
      readonly http?: Deno.HttpClient;
    },
  ): Promise<Response> {
    const body = new URLSearchParams(form);
    const headers = new Headers(client.dpop === undefined ? {} : { dpop: client.dpop });
    if (client.secret === undefined) body.set("client_id", client.id);
    else headers.set("authorization", `Basic ${btoa(`${client.id}:${client.secret}`)}`);
    const request = { method: "POST", headers, body, client: client.http ?? this.#client };
    return await fetch(`${this.url}${path}`, request);
  }

  /** Stops listening and closes every connection. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#client.close();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function listen(authority: Authority | undefined): Promise<Server> {
  let server: Server;
  if (authority === undefined) {
    server = createHttpServer();
  } else {
    const { certificatePem, keyPem } = await authority.issueForLoopback();
    // Whoever has a certificate may show it: what it is good for is the provider's to say.
    const asks = { requestCert: true, rejectUnauthorized: false, ca: authority.certificatePem };
    server = createHttpsServer({ cert: certificatePem, key: keyPem, ...asks });
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function generateSigningKey(algorithm: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const about = { kid: crypto.randomUUID(), alg: algorithm, use: "sig" };
  return {
    privateKey,
    privateJwk: { ...await exportJWK(privateKey), ...about },
    publicJwk: { ...await exportJWK(publicKey), ...about },
  };
}
