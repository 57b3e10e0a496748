// In: what sessions and the proxy report, as plain data. Out: whatever an observer makes of it: a log, metrics, an audit.
// Nothing here knows a room: whoever reports hands over words and numbers, never a token or a password.
// PostgreSQL documentation: Error Reporting and Logging, whose connection messages these resemble.

/** Whoever is told what happens; it must not throw, and must not keep a session waiting. */
export interface Observer {
  (event: SessionEvent | ProxyEvent): void;
}

/** The connection an event belongs to. */
export interface ConnectionFacts {
  /** Counts from 1 since the program started. */
  readonly id: number;
  /** `ip:port` or `[v6]:port`. */
  readonly clientAddress: string;
  /** Once it is inside TLS, as `TLSv1.3`. */
  readonly tlsVersion?: string;
  /** Where it has come in by a balancer, whose PROXY header has named the client: that one's, in the same form. */
  readonly via?: string;
}

/** What a client asked for in its StartupMessage: all of it is the client's word. */
export interface AskedFor {
  readonly user?: string;
  readonly database?: string;
  readonly applicationName?: string;
}

/** What happens in one connection's life, in the order it can happen. */
export type SessionEvent =
  & { readonly connection: ConnectionFacts }
  & (
    | { readonly kind: "connection_opened" }
    /** One message of a login, as libpq's PQtrace would print it, without what is secret. */
    | { readonly kind: "message_traced"; readonly peer: "client" | "backend"; readonly message: string }
    | { readonly kind: "tls_established"; readonly isDirect: boolean }
    | { readonly kind: "cancel_requested"; readonly isKnown: boolean }
    /** The key was right, and the backend did not get it. */
    | { readonly kind: "cancel_failed"; readonly cause: unknown }
    | {
      readonly kind: "token_accepted";
      readonly method: string;
      readonly issuer: string;
      readonly asked: AskedFor;
    }
    /** A host of a backend was dialled and logged in at, or that came to nothing: then the next one may be tried. */
    | {
      readonly kind: "backend_tried";
      readonly backend: string;
      /** Its name or address without the port, or the path of its socket; as configured. */
      readonly host: string;
      readonly isReached: boolean;
    }
    /**
     * It was closed without a word because of a limit: to tell each in a flood takes more than a limit leaves. `limit` is the
     * key of `[limits]`; `isNews`: the first in a minute; `passedOver`: how many there were since the last that was news.
     */
    | {
      readonly kind: "limit_hit";
      readonly limit: string;
      readonly isNews: boolean;
      readonly passedOver: number;
    }
    /** A client by OAUTHBEARER has asked where to get a token: no failed login, though it ends like one. */
    | { readonly kind: "discovery_answered"; readonly asked: AskedFor; readonly durationMs: number }
    | (LoginRefusal & { readonly kind: "login_refused"; readonly asked: AskedFor })
    | (Login & { readonly kind: "authenticated"; readonly asked: AskedFor })
    /** The issuer could not be asked again whether the token is still good: the session goes on. */
    | { readonly kind: "reintrospection_failed"; readonly issuer: string }
    | (Ending & { readonly kind: "session_ended" })
  );

/** A part of a login, and the time it took. */
export interface LoginStage {
  /**
   * `tls`: the handshake with the client. `token`: whether the token is good and which rule lets its bearer in. `backend`:
   * to reach the backend and log in there.
   */
  readonly name: "tls" | "token" | "backend";
  /** From the connection's acceptance to its beginning. */
  readonly startedMs: number;
  readonly durationMs: number;
}

/** Why a login came to nothing. */
export interface LoginRefusal {
  /** How the token was to be presented, if that was settled: `password` or `oauthbearer`. */
  readonly method?: string;
  readonly sqlstate: string;
  /** What the client was told. */
  readonly message: string;
  /** What it was not told. */
  readonly reason?: string;
  /** One word of a few, where it says more than the SQLSTATE: what is wrong with the token, the limit that was hit. */
  readonly fault?: string;
  readonly blame: "frontend" | "backend" | "issuer" | "operator" | "proxy";
  readonly cause?: unknown;
  /** As far as it was settled, and may be recorded: of a good token that no rule lets in, its issuer and its bearer. */
  readonly whose?: Partial<Whose>;
  readonly durationMs: number;
  /** Those it got to; the last one may have failed. */
  readonly stages: readonly LoginStage[];
}

/** Who a login speaks for, and what it was granted. */
export interface Whose {
  /** The claim's value that a rule matched, or the token's subject, or a pseudonym. */
  readonly identity?: string;
  /** The token's id, or a pseudonym of it. */
  readonly tokenId?: string;
  readonly issuer: string;
  /** The rule's name, or its place: `rules[2]`. */
  readonly rule: string;
  readonly role: string;
  readonly backend: string;
  readonly database: string;
}

/** A login that succeeded, at the backend too. */
export interface Login extends Whose {
  /** How the token was presented: `password` or `oauthbearer`. */
  readonly method: string;
  /** From the connection's acceptance. */
  readonly durationMs: number;
  readonly stages: readonly LoginStage[];
}

/** How a session that had been logged in came to its end. */
export interface Ending {
  readonly how: "client_left" | "client_lost" | "backend_left" | "ended_by_policy" | "failed";
  readonly backend: string;
  readonly durationMs: number;
  /** From the client to the backend. */
  readonly bytesIn: number;
  /** From the backend to the client. */
  readonly bytesOut: number;
  /** How often the backend was done with a transaction, whatever came of it. */
  readonly transactions: number;
  /** Where the proxy has ended it: why. */
  readonly reason?: string;
  readonly cause?: unknown;
}

/** What happens to the proxy as a whole. */
export type ProxyEvent =
  | { readonly kind: "listening"; readonly address: string; readonly isTlsOffered: boolean }
  | { readonly kind: "accept_paused"; readonly cause: unknown; readonly pauseMs: number }
  | { readonly kind: "issuer_keys_changed"; readonly issuer: string; readonly keys: number }
  /** They were fetched, and are those that were known. */
  | { readonly kind: "issuer_keys_unchanged"; readonly issuer: string }
  /** A key of the set cannot be used; `index` is its place in the set, from 0. */
  | {
    readonly kind: "issuer_key_skipped";
    readonly issuer: string;
    readonly index: number;
    readonly reason: string;
  }
  | { readonly kind: "issuer_fetch_failed"; readonly issuer: string; readonly reason: string }
  /** It was asked about a token; several who ask about one at the same time have the same answer. */
  | {
    readonly kind: "issuer_introspected";
    readonly issuer: string;
    readonly outcome: "active" | "inactive" | "unavailable";
  }
  /** It does not take the credentials that the proxy asks about tokens with. */
  | { readonly kind: "issuer_refused_proxy"; readonly issuer: string; readonly reason: string }
  /** It was tried at a reload, and could not be asked about a token, or has answered what it must not. */
  | { readonly kind: "issuer_introspection_unusable"; readonly issuer: string; readonly reason: string }
  /** It has not answered about tokens, and is not asked for a while: logins with such tokens are refused at once. */
  | { readonly kind: "issuer_introspection_stopped"; readonly issuer: string; readonly reason: string }
  | { readonly kind: "issuer_introspection_resumed"; readonly issuer: string }
  /** A line of a validator's standard error; so many before it were passed over. */
  | {
    readonly kind: "validator_said";
    readonly issuer: string;
    readonly line: string;
    readonly passedOver: number;
  }
  | {
    readonly kind: "validator_restarting";
    readonly issuer: string;
    readonly reason: string;
    readonly delayMs: number;
  }
  | { readonly kind: "deny_list_changed"; readonly issuer: string; readonly entries: number }
  /** It cannot be used as it is now: what it said before holds. */
  | { readonly kind: "deny_list_failed"; readonly issuer: string; readonly reason: string }
  /** Of what the file of the log or of the audit trail could not take, nothing is lost yet. */
  | {
    readonly kind: "output_failed";
    readonly output: OutputName;
    readonly path: string;
    readonly reason: string;
  }
  /** So many lines more found no room while it could not be written. */
  | { readonly kind: "lines_lost"; readonly output: OutputName; readonly lines: number }
  /** It can be written again; so many lines were lost in between. */
  | {
    readonly kind: "output_resumed";
    readonly output: OutputName;
    readonly path: string;
    readonly lines: number;
  }
  /** While nobody logs in at it, the proxy itself asked whether it is there; `problem`: it is not. */
  | {
    readonly kind: "backend_probed";
    readonly backend: string;
    readonly problem?: string;
    /** It is otherwise than it was when last asked. */
    readonly isNews: boolean;
    readonly durationMs: number;
  }
  /** Where health and metrics are asked for. */
  | { readonly kind: "admin_listening"; readonly address: string; readonly isTlsOffered: boolean }
  /** The service manager could not be told what the proxy is doing. */
  | { readonly kind: "notify_failed"; readonly reason: string }
  /** New connections go by the new configuration, and so many live sessions were held against it. */
  | { readonly kind: "configuration_reloaded"; readonly sessions: number }
  /** The old configuration stays; a line for each mistake. */
  | { readonly kind: "reload_failed"; readonly reason: string }
  /** A thread that carried connections is gone, with so many of them; it is started anew after so long, if at all. */
  | {
    readonly kind: "worker_lost";
    /** From 1. */
    readonly worker: number;
    readonly reason: string;
    readonly connections: number;
    readonly delayMs?: number;
  }
  | { readonly kind: "worker_restarted"; readonly worker: number }
  /** It is to end. Connections come in for so long more, then sessions have so long to become idle. */
  | {
    readonly kind: "draining";
    readonly sessions: number;
    readonly graceMs: number;
    readonly delayMs: number;
  }
  /** It has ended; so many sessions were cut off in what they were doing. */
  | { readonly kind: "drained"; readonly sessionsCut: number };

/** What is written to a file line by line. */
export type OutputName = "log" | "audit";
