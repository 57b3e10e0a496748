import { discoverIntrospectionEndpoint } from "../discovery.ts";
import type { IssuerSettings } from "../schema.ts";
import type { TokenEvent } from "../token_event.ts";
import type { ClientCertificate } from "./client_authentication.ts";
import type { IntrospectionProblem, Introspector } from "./introspector.ts";
import { readCredentials, type SecretsOutside, UnusableCredentials } from "./read_credentials.ts";
import { RemoteIntrospector } from "./remote_introspector.ts";

/** A way to fetch that shows a client certificate, and holds on to something until it is closed. */
export interface CertifiedFetch {
  readonly fetch: typeof fetch;
  close(): void;
}

/** What an introspector needs from outside. */
export interface IntrospectorOutside {
  readonly fetch: typeof fetch;
  /** Makes a `fetch` that shows this certificate. */
  readonly certifiedFetch: (certificate: ClientCertificate) => CertifiedFetch;
  readonly secrets: SecretsOutside;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly report: (event: TokenEvent) => void;
}

/** An introspector, or what is wrong with its table. */
export type OpenedIntrospector =
  | { readonly kind: "introspector"; readonly introspector: Introspector }
  | { readonly kind: "problem"; readonly problem: IntrospectionProblem };

/** Reads the secrets of an issuer's introspection; nothing is asked yet. */
export async function openIntrospector(
  issuer: IssuerSettings,
  { secrets, certifiedFetch, ...outside }: IntrospectorOutside,
): Promise<OpenedIntrospector> {
  const { name, introspection, insecure_http: insecureHttp } = issuer;
  const settings = introspection!;
  try {
    const credentials = await readCredentials(settings, secrets);
    const certified = credentials.method === "tls_client_auth" ? certifiedFetch(credentials) : undefined;
    const introspector = new RemoteIntrospector({
      ...outside,
      issuer: name,
      iss: issuer.url ?? issuer.issuer!,
      settings,
      insecureHttp,
      credentials,
      findEndpoint: endpointFinder(issuer, outside),
      fetch: certified?.fetch ?? outside.fetch,
      close: () => certified?.close(),
    });
    return { kind: "introspector", introspector };
  } catch (error) {
    if (!(error instanceof UnusableCredentials)) throw error;
    return { kind: "problem", problem: { key: error.key, message: error.message } };
  }
}

/** Deno's own, which shows a certificate by a client of its own. */
export function certifiedFetchOfDeno({ certificates, privateKey }: ClientCertificate): CertifiedFetch {
  const client = Deno.createHttpClient({ cert: certificates, key: privateKey.reveal() });
  return {
    fetch: (input, init) => {
      const certified: RequestInit & { client: Deno.HttpClient } = { ...init, client };
      return fetch(input, certified);
    },
    close: () => client.close(),
  };
}

function endpointFinder(
  issuer: IssuerSettings,
  { fetch }: Pick<IntrospectorOutside, "fetch">,
): (signal: AbortSignal) => Promise<URL> {
  const { url, introspection, insecure_http: insecureHttp } = issuer;
  const { endpoint, timeout: timeoutMs, auth } = introspection!;
  if (endpoint !== undefined || url === undefined) return () => Promise.resolve(new URL(endpoint!));
  const showsCertificate = auth === "tls_client_auth";
  return (signal) =>
    discoverIntrospectionEndpoint({ ...issuer, url }, {
      fetch,
      signal,
      insecureHttp,
      timeoutMs,
      showsCertificate,
    });
}
