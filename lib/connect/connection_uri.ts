/** A backend's URL that cannot be used; its message is one sentence and never holds a part of the URL's user or password. */
export class TargetError extends Error {
  override readonly name = "TargetError";
}

/** A connection URI cut into its components and decoded; what each means is not decided yet. */
export interface ConnectionUri {
  readonly user?: string;
  readonly password?: string;
  readonly hosts: readonly string[];
  /** As many as there are hosts, `""` where none is written; or one that is for all hosts. */
  readonly ports: readonly string[];
  readonly database?: string;
  /** Every other key of the query, in the order written. */
  readonly query: ReadonlyMap<string, string>;
}

/**
 * Parses a connection URI as libpq does. A WHATWG `URL` cannot: it knows neither several hosts nor sockets.
 *
 * @throws {TargetError} when it is not a connection URI
 * @see https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function parseConnectionUri(uri: string): ConnectionUri {
  const scheme = /^postgres(?:ql)?:\/\//.exec(uri);
  if (scheme === null) throw new TargetError("the URL must begin with postgres:// or postgresql://");
  if (/\s/.test(uri)) throw new TargetError("the URL has a space: write it as %20");
  const { userInfo, rest } = cutUserInfo(uri.slice(scheme[0].length));
  const [, authority, path, queryText] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest)!;
  const query = parseQuery(queryText ?? "");
  const written = authority.split(",").map(parseHostPort);
  const colon = userInfo.indexOf(":");
  return {
    user: take(query, "user") ?? decode(colon < 0 ? userInfo : userInfo.slice(0, colon)),
    password: take(query, "password") ?? (colon < 0 ? undefined : decode(userInfo.slice(colon + 1))),
    hosts: take(query, "host")?.split(",") ?? written.map(({ host }) => host),
    ports: take(query, "port")?.split(",") ?? written.map(({ port }) => port),
    database: take(query, "dbname") ?? decode(path ?? ""),
    query,
  };
}

/** libpq looks for the first `@` that comes before a `/`: one in a password has to be percent-encoded. */
function cutUserInfo(text: string): { userInfo: string; rest: string } {
  const end = text.search(/[@/]/);
  if (end < 0 || text[end] === "/") return { userInfo: "", rest: text };
  return { userInfo: text.slice(0, end), rest: text.slice(end + 1) };
}

function parseHostPort(text: string): { host: string; port: string } {
  const bracketed = /^\[([0-9a-fA-F]*:[0-9a-fA-F:.]*(?:%25[\w.~-]+)?)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) return { host: decode(bracketed[1]), port: decode(bracketed[2] ?? "") };
  if (/[[\]]/.test(text)) throw new TargetError("an IPv6 address in the URL must be whole, as in [::1]:5432");
  const colon = text.indexOf(":");
  if (colon < 0) return { host: decode(text), port: "" };
  return { host: decode(text.slice(0, colon)), port: decode(text.slice(colon + 1)) };
}

function parseQuery(text: string): Map<string, string> {
  const query = new Map<string, string>();
  if (text === "") return query;
  for (const pair of text.split("&")) {
    const equals = pair.indexOf("=");
    if (equals < 0) throw new TargetError("the URL's query must be of the form key=value&key=value");
    const key = decode(pair.slice(0, equals));
    const value = pair.slice(equals + 1);
    if (value.includes("=")) {
      throw new TargetError("a value in the URL's query has an equals sign: write it as %3D");
    }
    if (query.has(key)) throw new TargetError(`the URL has ${nameOfKey(key)} twice`);
    query.set(key, decode(value));
  }
  return query;
}

/**
 * A query key as it may be printed. A password with an unencoded `/` and `?` would make its own tail look like a key.
 */
export function nameOfKey(key: string): string {
  return /^[A-Za-z_]{1,32}$/.test(key) ? `the query key ${key}` : "a query key";
}

function take(query: Map<string, string>, key: string): string | undefined {
  const value = query.get(key);
  query.delete(key);
  return value;
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes("\0")) return decoded;
  } catch {
    throw new TargetError("the URL has a percent sign that begins no UTF-8 text: write it as %25");
  }
  throw new TargetError("the URL has a zero byte (%00)");
}
