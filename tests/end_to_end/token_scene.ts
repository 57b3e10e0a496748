// In: keys of an issuer's table. Out: a proxy of both ways in, with a clock of its own, before a backend that lets all in.
// Chapter: the stage of the tests about tokens that need no PostgreSQL.

import { fakeBackend } from "../support/hostile_peer.ts";
import type { OidcIssuer } from "../support/oidc_issuer.ts";
import { loginIsComplete } from "../support/raw_messages.ts";
import { type ProxyScenario, RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { BOTH_WAYS_IN, connectBy, outcomeBy, PRESENTERS, type WayIn } from "./presenter.ts";

const DISCOVERY_PATH = "/.well-known/openid-configuration";

/** A proxy that lets in alice and alice@example.com, and what happens to it. */
export interface TokenScene extends AsyncDisposable {
  readonly proxy: RunningProxy;
  readonly issuer: OidcIssuer;
  /** Lets time pass, for tokens and key sets. */
  pass(ms: number): void;
  /** Fresh tokens of alice, good for a day. */
  mint(count?: number): Promise<string[]>;
  /** What becomes of a token: "in", or the SQLSTATE of its refusal. */
  logIn(by: WayIn, token: string): Promise<string>;
  /** How often the issuer was asked for its keys, which begins with its discovery document. */
  fetches(): number;
  lastRefusal(): { readonly blame: string; readonly reason?: string };
}

/** Starts backend, issuer (unless it is given) and proxy. */
export async function startTokenScene(
  scenario: Pick<ProxyScenario, "issuer" | "issuedBy" | "between" | "files"> & {
    /** How many workers there are; default: one. */
    readonly workers?: number;
    /** Keys of the rule. */
    readonly rule?: string;
  } = {},
): Promise<TokenScene> {
  await using resources = new AsyncDisposableStack();
  const backend = resources.use(
    await fakeBackend(async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveToEnd();
    }),
  );
  let aheadMs = 0;
  const now = () => Date.now() + aheadMs;
  const toml = tomlOf(backend.port, scenario);
  const proxy = resources.use(await RunningProxy.start({ ...scenario, toml, now }));
  const { issuer } = proxy;
  const rest = resources.move();
  return {
    proxy,
    issuer,
    pass: (ms) => void (aheadMs += ms),
    mint: (count = 1) =>
      Promise.all(
        Array.from({ length: count }, () => issuer.mint({ sub: "alice", expiresInSeconds: 86_400 })),
      ),
    async logIn(by, token) {
      await using client = await connectBy(by, proxy.port);
      await client.send(PRESENTERS[by].message(token));
      return await outcomeBy(by, client);
    },
    fetches: () => issuer.requestedPaths.filter((path) => path === DISCOVERY_PATH).length,
    lastRefusal: () => proxy.events.findLast((event) => event.kind === "login_refused")!,
    async [Symbol.asyncDispose]() {
      // What a session still has to do when its client has left.
      await waitUntil(() => proxy.connectionCount === 0, { what: "every session to end" });
      await rest.disposeAsync();
    },
  };
}

function tomlOf(backendPort: number, { workers = 1, rule = "" }): string {
  return `
[service]
workers = ${workers}
refresh = "0"

${BOTH_WAYS_IN}

[[backends]]
name = "main"
url = "postgres://app@localhost:${backendPort}/postgres?sslmode=disable"
require_auth = ["none"]

[[rules]]
issuer = "corp"
match = '/alice(@example\\.com)?/'
backend = "main"
${rule}
`;
}
