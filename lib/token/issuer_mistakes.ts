import { isSecure } from "./url_checks.ts";

/** What a validator decides itself, or has nothing to do with: one who wrote it here would trust in it in vain. */
const NOT_WITH_VALIDATOR = [
  ...["url", "jwks_url", "signing_keys", "introspection", "introspect", "jwks_hosts", "insecure_http"],
  ...["audience", "algorithms", "types", "clients", "required_claims"],
  ...["require_binding", "require_email_verified"],
] as const;

/** What only a signed token has. */
const NOT_WITHOUT_KEYS = ["algorithms", "types", "introspect"] as const;

/** Something wrong with a key of an issuer's table, and the names that lead to it. */
export interface IssuerMistake {
  readonly path: readonly [string, ...string[]];
  readonly message: string;
}

/** What is wrong for the kind of issuer that it is. The table may have other mistakes, and be anything. */
export function* mistakesOfKind(table: unknown): Generator<IssuerMistake> {
  if (typeof table !== "object" || table === null) return;
  const has = (key: string) =>
    Object.hasOwn(table, key) && (table as Record<string, unknown>)[key] !== undefined;
  if (has("validator")) {
    yield* without(
      NOT_WITH_VALIDATOR.filter(has),
      'with "validator" it has no effect, the program alone decides',
    );
    return;
  }
  if (!has("audience")) {
    const message = '"audience" is required: name the audience the tokens must carry';
    yield { path: ["audience"], message };
  }
  const hasKeys = ["url", "jwks_url", "signing_keys"].some(has);
  if (has("introspection")) {
    yield* mistakesWithIntrospection(table as WithIntrospection, { has, hasKeys });
    return;
  }
  if (!hasKeys) {
    const message =
      'An issuer needs one of "url", "jwks_url", "signing_keys", "introspection" and "validator"';
    yield { path: ["url"], message };
  }
  if (has("introspect")) {
    yield { path: ["introspect"], message: 'needs the table "introspection", which says whom to ask' };
  }
}

/** As much of such a table as is looked at. */
interface WithIntrospection {
  readonly introspection: { readonly endpoint?: unknown; readonly auth?: unknown };
  readonly insecure_http?: boolean;
}

function* mistakesWithIntrospection(
  { introspection, insecure_http }: WithIntrospection,
  { has, hasKeys }: { has: (key: string) => boolean; hasKeys: boolean },
): Generator<IssuerMistake> {
  if (!hasKeys) {
    yield* without(NOT_WITHOUT_KEYS.filter(has), 'with "introspection" alone no signature is checked');
    if (!has("issuer")) {
      const message = '"issuer" is missing: with "introspection" alone give the iss that tokens must have';
      yield { path: ["issuer"], message };
    }
  }
  if (typeof introspection !== "object" || introspection === null) return;
  const path = ["introspection", "endpoint"] as const;
  const { endpoint, auth } = introspection;
  if (endpoint === undefined && !has("url")) {
    yield { path, message: "is required: only an issuer with url tells by discovery where to ask" };
  }
  if (typeof endpoint !== "string" || isSecure(endpoint)) return;
  if (auth === "tls_client_auth") {
    yield { path, message: "must begin with https://, or no certificate can be shown" };
  } else if (!isSecure(endpoint, insecure_http)) {
    yield { path, message: "must begin with https:// unless insecure_http = true" };
  }
}

function* without(keys: readonly string[], why: string): Generator<IssuerMistake> {
  for (const key of keys) yield { path: [key], message: `Remove "${key}": ${why}` };
}
