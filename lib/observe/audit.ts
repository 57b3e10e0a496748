import type { AskedFor, ConnectionFacts, Observer, SessionEvent, Whose } from "./events.ts";

/** What a trail is written to, and by which clock. */
export interface AuditOptions {
  /** Takes one line with its newline; must not keep its caller waiting. */
  readonly write: (line: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** One line of the trail; what has no value is left out. */
type AuditRecord = Readonly<Record<string, string | number | undefined>>;

/** What a session's end repeats of its login, so that each line is understood alone. */
interface Known {
  readonly method: string;
  readonly asked: AskedFor;
  readonly whose: Whose;
}

/** A longer value is cut: a client must not fill the disk with names. */
const MAX_VALUE_LENGTH = 1024;

/**
 * The audit trail: an observer that writes one JSON object a line for each login, refusal and end of a session, and nothing
 * else. Whose token is to stay unknown is told by pseudonyms here too: the events have no other name for it.
 */
export function auditTrail({ write, now }: AuditOptions): Observer {
  // Kept from a login to its session's end: both always come.
  const sessions = new Map<number, Known>();
  return (event) => {
    if (!("connection" in event)) return;
    const record = recordOf(event, sessions);
    if (record !== undefined) write(auditLine({ time: new Date(now()).toISOString(), ...record }));
  };
}

/** A record as a line: nothing in it looks like something else, nor moves the text around it (W16), and all can be read back. */
export function auditLine(record: AuditRecord): string {
  const text = JSON.stringify(record, (_key, value) => typeof value === "string" ? cut(value) : value);
  // Line breaks and quotes JSON escapes itself.
  return text.replace(
    INVISIBLE,
    (character) =>
      [...Array(character.length).keys()].map((at) =>
        `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`
      ).join(""),
  ) + "\n";
}

function recordOf(event: SessionEvent, sessions: Map<number, Known>): AuditRecord | undefined {
  const { connection } = event;
  switch (event.kind) {
    case "authenticated": {
      const { method, asked, durationMs, identity, tokenId, issuer, rule, role, backend, database } = event;
      const known = { method, asked, whose: { identity, tokenId, issuer, rule, role, backend, database } };
      sessions.set(connection.id, known);
      return { ...head("login", connection), ...fields(known), duration_ms: durationMs };
    }
    case "login_refused": {
      const { method, asked, whose, sqlstate, message, fault, reason, blame, durationMs } = event;
      const why = { sqlstate, message, fault, reason, blame };
      return {
        ...head("refusal", connection),
        ...fields({ method, asked, whose }),
        ...why,
        duration_ms: durationMs,
      };
    }
    case "session_ended": {
      const known = sessions.get(connection.id);
      sessions.delete(connection.id);
      const { bytesIn, bytesOut, transactions, durationMs, how, reason, backend } = event;
      return {
        ...head("session_end", connection),
        // The trail may have been begun by a reload, when the session was there already.
        ...(known === undefined ? { backend } : fields(known)),
        ...{ bytes_in: bytesIn, bytes_out: bytesOut, transactions, duration_ms: durationMs, how, reason },
      };
    }
    default:
      return undefined;
  }
}

function head(event: "login" | "refusal" | "session_end", connection: ConnectionFacts): AuditRecord {
  const { id, clientAddress, via, tlsVersion } = connection;
  return { event, connection: id, client_address: clientAddress, via, tls_version: tlsVersion };
}

function fields(
  { method, asked, whose = {} }: { method?: string; asked: AskedFor; whose?: Partial<Whose> },
): AuditRecord {
  const { issuer, identity, tokenId, rule, role, backend } = whose;
  return {
    ...{ method, issuer, identity, token_id: tokenId, rule, user: asked.user, role },
    // Until a rule has said which, the one that the client has asked for.
    database: whose.database ?? asked.database,
    ...{ backend, application: asked.applicationName },
  };
}

function cut(value: string): string {
  if (value.length <= MAX_VALUE_LENGTH) return value;
  return `${value.slice(0, MAX_VALUE_LENGTH).replace(/[\ud800-\udbff]$/, "")}…`;
}

const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
