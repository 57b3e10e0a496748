import { X509Certificate } from "node:crypto";
import type { RequestListener } from "node:http";
import type { TLSSocket } from "node:tls";

// Its notices are for who runs it in production; the first of them is written while it loads.
for (const level of ["info", "warn"] as const) {
  const write = console[level];
  console[level] = (...parts) => String(parts[0]).includes("oidc-provider ") || write(...parts);
}
const { default: Provider } = await import("oidc-provider");

/** What the resource server is called in tokens. */
export const AUDIENCE = "pg-auth-proxy";

/** Who may ask the issuer for something. Tokens of `bound` are bound to its certificate; `psql` is public, as a program on everybody's machine is. */
export const CLIENTS = {
  service: { id: "service", secret: "service-secret" },
  bound: { id: "bound", secret: "bound-secret" },
  proxy: { id: "proxy", secret: "proxy-secret" },
  psql: { id: "psql" },
} as const;

/** The ways in which clients may say who they are. */
const CLIENT_AUTH_METHODS = [
  "none",
  "client_secret_basic",
  "client_secret_post",
  "private_key_jwt",
  "tls_client_auth",
];

/** Claims of a token beside those that the issuer writes itself. */
export type Claims = Readonly<Record<string, unknown>>;

/** How one token is to be. */
export interface TokenOrder {
  readonly sub?: string;
  /** These have the last word, over `iss`, `aud` and `exp` too; undefined removes one of a JWT. */
  readonly claims?: Claims;
  readonly expiresInSeconds?: number;
  /** An opaque token says nothing by itself and is good for introspection only. Default "jwt". */
  readonly format?: "jwt" | "opaque";
  /** Default the first algorithm of the issuer's keys. */
  readonly algorithm?: string;
}

/** A client's metadata, in the names of RFC 7591 and RFC 8705. */
export type ClientMetadata = Readonly<Record<string, unknown>> & { readonly client_id: string };

/** What a provider is made of. */
export interface ProviderOptions {
  readonly url: string;
  /** Private keys; the first one's `alg` is the default. */
  readonly keys: readonly (JsonWebKey & { readonly alg?: string })[];
  /** Claims by account, for tokens that a person has asked for. */
  readonly accounts: Readonly<Record<string, Claims>>;
  /** Clients besides those of {@link CLIENTS}; they are granted nothing unless they say so. */
  readonly clients: readonly ClientMetadata[];
  /** PEM; client certificates of it are good. */
  readonly clientAuthority?: string;
  /** The order that a request brings with it in its body, if it does. */
  readonly findOrder: (body: Readonly<Record<string, string>> | undefined) => TokenOrder | undefined;
}

// The parts of oidc-provider's objects that are used here; it has no types of its own.
interface Context {
  readonly socket: TLSSocket;
  readonly oidc?: { readonly route?: string; readonly body?: Readonly<Record<string, string>> };
  body: Record<string, unknown>;
}

interface Token {
  readonly accountId?: string;
}

interface StructuredToken {
  readonly payload: Record<string, unknown>;
}

/** An OIDC provider that grants client_credentials and the device flow, without a socket. */
export function createProvider(
  { url, keys, accounts, clients, clientAuthority, findOrder }: ProviderOptions,
): RequestListener {
  const defaultAlgorithm = keys[0].alg;
  const orderOf = (context: Context) => findOrder(context.oidc?.body);
  const confidential = {
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: "client_secret_basic",
  };

  const provider = new Provider(url, {
    jwks: { keys },
    clientDefaults: { id_token_signed_response_alg: defaultAlgorithm },
    clients: [
      {
        ...confidential,
        client_id: CLIENTS.service.id,
        client_secret: CLIENTS.service.secret,
        grant_types: ["client_credentials"],
      },
      {
        ...confidential,
        client_id: CLIENTS.bound.id,
        client_secret: CLIENTS.bound.secret,
        grant_types: ["client_credentials"],
        tls_client_certificate_bound_access_tokens: true,
      },
      {
        ...confidential,
        client_id: CLIENTS.proxy.id,
        client_secret: CLIENTS.proxy.secret,
        grant_types: [],
      },
      {
        ...confidential,
        client_id: CLIENTS.psql.id,
        token_endpoint_auth_method: "none",
        application_type: "native",
        grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
      },
      ...clients.map((client) => ({ ...confidential, grant_types: [], ...client })),
    ],
    clientAuthMethods: CLIENT_AUTH_METHODS,
    scopes: ["openid", "offline_access", "email", "profile", "groups"],
    cookies: { keys: ["only for tests"] },
    enabledJWA: { idTokenSigningAlgValues: ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"] },
    findAccount: (_context: Context, accountId: string) => ({
      accountId,
      claims: () => ({ sub: accountId, ...accounts[accountId] }),
    }),
    extraTokenClaims(context: Context, token: Token): Claims | undefined {
      const order = orderOf(context);
      if (order) return { ...(order.sub !== undefined && { sub: order.sub }), ...order.claims };
      return token.accountId === undefined ? undefined : accounts[token.accountId];
    },
    formats: {
      customizers: {
        // What extraTokenClaims returned is written first, and then covered by the provider's own claims.
        jwt(context: Context, _token: Token, { payload }: StructuredToken) {
          const order = orderOf(context);
          if (order?.sub !== undefined) payload.sub = order.sub;
          Object.assign(payload, order?.claims);
        },
      },
    },
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        certificateBoundAccessTokens: true,
        getCertificate: (context: Context) => certificateOf(context)?.toString(),
        // Deno's own verdict is not asked: it is the chain of one certificate.
        certificateAuthorized: (context: Context) =>
          clientAuthority !== undefined &&
          certificateOf(context)?.verify(new X509Certificate(clientAuthority).publicKey) === true,
        certificateSubjectMatches: (context: Context, property: string, expected: string) =>
          property === "tls_client_auth_san_dns" && certificateOf(context)?.checkHost(expected) !== undefined,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `urn:${AUDIENCE}`, // libpq names no resource
        useGrantedResource: () => true,
        getResourceServerInfo(context: Context) {
          const order = orderOf(context);
          return {
            audience: AUDIENCE,
            scope: "openid email profile groups",
            accessTokenFormat: order?.format ?? "jwt",
            accessTokenTTL: order?.expiresInSeconds ?? 3600,
            jwt: { sign: { alg: order?.algorithm ?? defaultAlgorithm } },
          };
        },
      },
    },
  });

  provider.use(async (context: Context, next: () => Promise<void>) => {
    await next();
    // Left out, the interval is 5 seconds (RFC 8628 section 3.2), and so long does psql wait between polls.
    if (context.oidc?.route === "device_authorization") context.body.interval = 1;
  });
  return provider.callback();
}

/** What the client has shown in TLS. */
function certificateOf({ socket }: Context): X509Certificate | undefined {
  const raw = socket.getPeerCertificate?.(true)?.raw;
  return raw === undefined ? undefined : new X509Certificate(raw);
}
