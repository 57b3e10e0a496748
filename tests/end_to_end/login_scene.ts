// In: a way in, and limits. Out: a proxy before a backend that lets everybody in, and what becomes of logins at it.
// Chapter: the stage of the tests about who may try to log in how often.

import assert from "node:assert/strict";
import { bearer, DISCOVERY } from "../authenticate/bearer_words.ts";
import { fakeBackend, RawClient } from "../support/hostile_peer.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  loginIsComplete,
  passwordMessage,
  type RawMessage,
  readFields,
  saslInitialResponse,
  saslResponse,
  SSL_REQUEST,
  startupMessage,
  text,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";

/** How tokens are presented. */
export type Method = "password" | "oauthbearer";

/** Who logs in, with what and where from; what is left out is the ordinary. */
export interface Login {
  readonly user?: string;
  readonly token?: string;
  /** The client's address. */
  readonly from?: string;
}

/** What became of a login. */
export interface Outcome {
  /** `in`, `challenged`, or the SQLSTATE of the refusal. */
  readonly told: string;
  /** The client was asked for its token. */
  readonly isAsked: boolean;
  /** From the token to the answer. */
  readonly durationMs: number;
}

/** A proxy that lets in alice's token as any user, and counts failed logins to five unless told otherwise. */
export async function startLoginScene(
  method: Method,
  { limits = "failed_logins = 5", listen = "" } = {},
) {
  await using resources = new AsyncDisposableStack();
  const backend = resources.use(
    await fakeBackend(async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveToEnd();
    }),
  );
  let aheadMs = 0;
  const uptime = () => performance.now() + aheadMs;
  const toml = tomlOf(method, backend.port);
  const proxy = resources.use(await RunningProxy.start({ listen, limits, uptime, toml }));
  const token = await proxy.issuer.mint({ sub: "alice" });

  async function attempt(login: Login, present: Present): Promise<Outcome> {
    await using client = await connectTo(proxy.port, login);
    const asked = await client.receiveMessage();
    if (asked.type === "E") return { told: outcomeOf(asked), isAsked: false, durationMs: 0 };
    const startMs = performance.now();
    const told = await present(client, login.token ?? token);
    return { told, isAsked: true, durationMs: performance.now() - startMs };
  }

  const rest = resources.move();
  return {
    proxy,
    token,
    /** Lets time pass, for the limits. */
    pass: (ms: number) => void (aheadMs += ms),
    /** Logs in, and leaves. */
    logIn: (login: Login = {}) => attempt(login, PRESENT[method]),
    /** Asks where tokens come from, by OAUTHBEARER. */
    discover: (login: Login = {}) => attempt(login, discover),
    /** Goes on by other limits. */
    reload: (limits: string) => proxy.reload(toml, limits),
    /** As far as the question for the token. */
    async connect(): Promise<RawConnection> {
      const client = await connectTo(proxy.port, {});
      assert.equal((await client.receiveMessage()).type, "R");
      return client;
    },
    /** Presents a token to that question; what came of it. */
    present: PRESENT[method],
    /** Fails until the next is refused. */
    async failToTheEnd(): Promise<void> {
      for (let count = 0; count < 5; count++) await attempt({ token: "guessed" }, PRESENT[method]);
    },
    async [Symbol.asyncDispose]() {
      // What a session still has to do when its client has left.
      await waitUntil(() => proxy.connectionCount === 0, { what: "every session to end" });
      await rest.disposeAsync();
    },
  };
}

function tomlOf(method: Method, backendPort: number): string {
  return `
[[ways_in]]
method = "${method}"
${method === "oauthbearer" ? 'issuer = "corp"\nscope = "openid"' : ""}

[[backends]]
name = "main"
url = "postgres://app@localhost:${backendPort}/postgres?sslmode=disable"
require_auth = ["none"]

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"
`;
}

async function connectTo(port: number, { user = "alice", from }: Login): Promise<RawConnection> {
  const client = await RawClient.connect(port, { localAddress: from });
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  await client.startTls();
  await client.send(startupMessage({ user, database: "postgres" }));
  return client;
}

type Present = (client: RawConnection, token: string) => Promise<string>;

const PRESENT: Readonly<Record<Method, Present>> = {
  async password(client, token) {
    await client.send(passwordMessage(token));
    return outcomeOf(await client.receiveMessage());
  },
  oauthbearer: (client, token) => sayBearer(client, bearer(token)),
};

const discover: Present = (client) => sayBearer(client, DISCOVERY);

async function sayBearer(client: RawConnection, words: string): Promise<string> {
  await client.send(saslInitialResponse("OAUTHBEARER", text(words)));
  const outcome = outcomeOf(await client.receiveMessage());
  if (outcome !== "challenged") return outcome;
  await client.send(saslResponse(Uint8Array.of(1)));
  return outcomeOf(await client.receiveMessage());
}

function outcomeOf(message: RawMessage): string {
  if (message.type === "E") return readFields(message).C;
  assert.equal(message.type, "R");
  const code = new DataView(message.body.buffer, message.body.byteOffset).getInt32(0);
  const outcome = { 0: "in", 11: "challenged" }[code];
  assert(outcome !== undefined, `an authentication request ${code} came`);
  return outcome;
}
