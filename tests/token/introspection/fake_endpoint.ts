import type { IssuerSettings } from "../../../lib/token/schema.ts";
import type { TokenEvent } from "../../../lib/token/token_event.ts";
import { TokenVerifier, type TokenVerifierOutside } from "../../../lib/token/token_verifier.ts";
import { ISS, settings, START_MS, START_SECONDS } from "../fake_issuer.ts";

export const ENDPOINT = "https://issuer.example/introspect";

/** One request as the endpoint has seen it. */
export interface SeenRequest {
  readonly url: string;
  readonly method?: string;
  readonly redirect?: string;
  readonly headers: Headers;
  readonly form: Readonly<Record<string, string>>;
}

type Answer = (request: SeenRequest, signal: AbortSignal) => Response | Promise<Response>;

/** What an issuer says of a good token; a member given as `undefined` is left out. */
export function told(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { active: true, iss: ISS, aud: "pg", sub: "alice", exp: START_SECONDS + 3600, ...changes };
}

/** Settings of an issuer that is only asked about its tokens, as the configuration would give them. */
export function asking(
  introspection: Record<string, unknown> = {},
  changes: Record<string, unknown> = {},
): IssuerSettings {
  return settings({
    jwks_url: undefined,
    introspection: { endpoint: ENDPOINT, client_id: "proxy", client_secret_env: "SECRET", ...introspection },
    ...changes,
  });
}

/** The issuer's introspection endpoint, the clock, and what was reported. */
export class FakeEndpoint {
  readonly requests: SeenRequest[] = [];
  /** What was reported, but for what became of each question. */
  readonly events: TokenEvent[] = [];
  /** What became of each question. */
  readonly outcomes: string[] = [];
  nowMs = START_MS;
  answer: Answer = () => Response.json(told());

  /** Answers with this value as JSON. */
  tell(value: unknown, init?: ResponseInit): void {
    this.answer = () => Response.json(value, init);
  }

  /** Refuses connections. */
  goDown(): void {
    this.answer = () => Promise.reject(new TypeError("connection refused"));
  }

  /** Takes the request, and never answers. */
  goSilent(): void {
    this.answer = (_request, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const { method, redirect, headers, body, signal } = init as RequestInit;
    const form = Object.fromEntries(new URLSearchParams(body as string));
    const request = { url: String(input), method, redirect, headers: new Headers(headers), form };
    this.requests.push(request);
    return await this.answer(request, signal as AbortSignal);
  };

  verifier(
    issuers: readonly IssuerSettings[] = [asking()],
    outside: Partial<TokenVerifierOutside> = {},
  ): Promise<TokenVerifier> {
    return TokenVerifier.create(issuers, {
      fetch: this.fetch,
      now: () => this.nowMs,
      report: (event) =>
        event.kind === "introspected" ? this.outcomes.push(event.outcome) : this.events.push(event),
      getEnv: () => "hunter2",
      ...outside,
    });
  }
}
