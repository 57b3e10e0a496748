import type { WayInRule } from "./authenticate/way_in.ts";
import type { Policy } from "./authorize/policy.ts";
import type { BackendAccess } from "./backend_link.ts";
import type { Counts } from "./limits/limits.ts";
import type { Pace } from "./long_work.ts";
import type { Network } from "./network.ts";
import type { Observer } from "./observe/events.ts";
import type { CancelDesk } from "./relay/cancel_keys.ts";
import type { ParameterPolicy } from "./startup/session_request.ts";
import type { ClientCertificatePolicy } from "./stream/client_certificate.ts";
import type { ServerCertificate } from "./stream/server_certificate.ts";
import type { After } from "./timers.ts";
import type { TokenDesk } from "./token_desk.ts";

/** What logins go by: each keeps to what it began with. */
export interface SessionSettings {
  /** Without one, TLS is not offered. */
  readonly certificate: ServerCertificate | null;
  readonly clientCertificates: ClientCertificatePolicy;
  /** `insecure_plaintext`. */
  readonly allowsPlaintext: boolean;
  readonly loginTimeoutMs: number;
  /** Peers whose connections begin with a PROXY header; nobody else's may. */
  readonly balancers: readonly Network[];
  readonly parameters: ParameterPolicy;
  readonly policy: Policy;
  /** By name; every rule's backend is among them. */
  readonly backends: ReadonlyMap<string, BackendAccess>;
  /** In order; where none fits, the token is presented as the password. */
  readonly waysIn: readonly WayInRule[];
  readonly tokens: TokenDesk;
}

/** What all sessions share. */
export interface SessionHouse extends Counts {
  /** What new logins go by: a reload changes it. */
  readonly settings: () => SessionSettings;
  readonly cancelKeys: CancelDesk;
  readonly observe: Observer;
  /** Each message of a login is observed, its secrets left out: `log.level = "trace"`. */
  readonly isTracing: boolean;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Calls `act` after so many milliseconds, at most 2^31 - 1; what it gives takes that back. */
  readonly after: After;
  /** At least 0 and less than 1. */
  readonly random: () => number;
  /** How work is done that may take long, while all others wait. */
  readonly pace: Pace;
}
