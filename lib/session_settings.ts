import type { Policy } from "./authorize/policy.ts";
import type { BackendAccess } from "./backend_link.ts";
import type { Observer } from "./observe/events.ts";
import type { CancelKeys } from "./relay/cancel_keys.ts";
import type { ParameterPolicy } from "./startup/session_request.ts";
import type { ServerCertificate } from "./stream/server_certificate.ts";
import type { VerifiedToken } from "./token/verified_token.ts";

/** What sessions go by: a session keeps what it began with. */
export interface SessionSettings {
  /** Without one, TLS is not offered. */
  readonly certificate: ServerCertificate | null;
  /** `insecure_plaintext`. */
  readonly allowsPlaintext: boolean;
  readonly loginTimeoutMs: number;
  readonly parameters: ParameterPolicy;
  readonly policy: Policy;
  /** By name; every rule's backend is among them. */
  readonly backends: ReadonlyMap<string, BackendAccess>;
  /** @throws {TokenRefused} when the token is not good */
  readonly verifyToken: (token: string) => Promise<VerifiedToken>;
}

/** What all sessions share. */
export interface SessionHouse {
  readonly cancelKeys: CancelKeys;
  readonly observe: Observer;
  /** Each message of a login is observed, its secrets left out: `log.level = "trace"`. */
  readonly isTracing: boolean;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
}
