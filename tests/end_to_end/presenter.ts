// In: a token and a proxy. Out: what a client says and hears that presents it, by each of the ways in.
// Chapter: the stage of the tests that hold however a token comes.

import assert from "node:assert/strict";
import { bearer, challenged, HEARD, initial, OFFER } from "../authenticate/bearer_words.ts";
import { RawClient } from "../support/hostile_peer.ts";
import type { ClientTls, RawConnection } from "../support/raw_connection.ts";
import {
  authentication,
  errorResponse,
  int32,
  passwordMessage,
  SSL_REQUEST,
  text,
} from "../support/raw_messages.ts";
import type { RunningProxy } from "../support/running_proxy.ts";
import { AUTHENTICATION_OK, STARTUP } from "./hostile_scene.ts";

/** How a token is presented. */
export type WayIn = "password" | "OAUTHBEARER";

/** TOML of a proxy that takes tokens by either way in: the name a client gives in TLS says by which. */
export const BOTH_WAYS_IN = `
[[ways_in]]
server_names = ["oauth.example.com"]
method = "oauthbearer"
issuer = "corp"
scope = "openid pg"
`;

/** A client's side of one way in. */
export interface Presenter {
  /** What the client gives in TLS. */
  readonly tls: ClientTls;
  /** The message that asks for the token. */
  readonly question: Uint8Array;
  /** The message that presents it. */
  message(token: string): Uint8Array;
  /** What the proxy says to any token of alice that is no good, and what the client answers in between. */
  refusal(proxy: RunningProxy): readonly { readonly says: Uint8Array; readonly answer?: Uint8Array }[];
  /** SQLSTATE of that. */
  readonly sqlstate: string;
}

/** Both ways in. */
export const PRESENTERS: Readonly<Record<WayIn, Presenter>> = {
  password: {
    tls: { serverName: "localhost" },
    question: authentication(3), // AuthenticationCleartextPassword
    message: passwordMessage,
    refusal: () => [{ says: errorResponse("28P01", 'token authentication failed for user "alice"') }],
    sqlstate: "28P01",
  },
  OAUTHBEARER: {
    tls: { serverName: "oauth.example.com" },
    question: OFFER,
    message: (token) => initial(bearer(token)),
    refusal: ({ issuer }) => [
      { says: challenged(`${issuer.url}/.well-known/openid-configuration`, "openid pg"), answer: HEARD },
      { says: errorResponse("28000", 'OAuth bearer authentication failed for user "alice"') },
    ],
    sqlstate: "28000",
  },
};

/** A table of the ways in, and nothing else. */
export const WAYS_IN: [by: WayIn][] = [["password"], ["OAUTHBEARER"]];

/** A row of a table with a way in for its second column. */
type ByWay<Row> = Row extends [infer First, ...infer Rest] ? [First, by: WayIn, ...Rest] : never;

/** Every row of a table by every way in, which comes second in it. */
export function byEveryWay<Row extends [unknown, ...unknown[]]>(rows: readonly Row[]): ByWay<Row>[] {
  return rows.flatMap(([first, ...rest]) => WAYS_IN.map(([by]) => [first, by, ...rest] as ByWay<Row>));
}

/** A connection that has been asked for its token. */
export async function connectBy(by: WayIn, port: number, startup = STARTUP): Promise<RawConnection> {
  const { tls, question } = PRESENTERS[by];
  const client = await RawClient.connect(port);
  await client.send(SSL_REQUEST);
  assert.deepEqual(await client.receive(1), text("S"));
  await client.startTls(tls);
  await client.send(startup);
  assert.deepEqual(await client.receive(question.length), question);
  return client;
}

/** A connection by OAUTHBEARER that has been told where to get a better token, and has not answered yet. */
export async function connectChallenged(proxy: RunningProxy, token = "guessed"): Promise<RawConnection> {
  const { message, refusal } = PRESENTERS.OAUTHBEARER;
  const [{ says }] = refusal(proxy);
  const client = await connectBy("OAUTHBEARER", proxy.port);
  await client.send(message(token));
  assert.deepEqual(await client.receive(says.length), says);
  return client;
}

/** A connection that is logged in. */
export async function logInBy(
  by: WayIn,
  { port, token, startup }: { readonly port: number; readonly token: string; readonly startup?: Uint8Array },
): Promise<RawConnection> {
  const client = await connectBy(by, port, startup);
  await client.send(PRESENTERS[by].message(token));
  await expectLetIn(client);
  return client;
}

/** Holds that the client is let in at once, and leaves it ready for a query. */
export async function expectLetIn(client: RawConnection): Promise<void> {
  assert.deepEqual((await client.receiveMessagesUntil("Z"))[0], AUTHENTICATION_OK);
}

/** Holds that what alice has presented is refused as anything is by this way in, to the byte, and the connection closed. */
export async function expectRefusal(by: WayIn, client: RawConnection, proxy: RunningProxy): Promise<void> {
  for (const { says, answer } of PRESENTERS[by].refusal(proxy)) {
    assert.deepEqual(await client.receive(says.length), says);
    if (answer !== undefined) await client.send(answer);
  }
  assert.deepEqual(await client.receiveToEnd(), new Uint8Array());
  assert.equal(client.ending, "end");
}

/** Presents a token as alice, holds that it is refused as any is, and gives the reason, which is in the log alone. */
export async function reasonOfRefusal(by: WayIn, proxy: RunningProxy, token: string): Promise<string> {
  const before = proxy.events.length;
  await using client = await connectBy(by, proxy.port);
  await client.send(PRESENTERS[by].message(token));
  await expectRefusal(by, client, proxy);
  const refused = proxy.events.slice(before).filter((event) => event.kind === "login_refused");
  assert.equal(refused.length, 1);
  assert.equal(refused[0].sqlstate, PRESENTERS[by].sqlstate);
  return refused[0].reason ?? "";
}

/** What becomes of a token: "in", or the SQLSTATE of its refusal. */
export async function outcomeBy(by: WayIn, client: RawConnection): Promise<string> {
  const first = await client.receiveMessage();
  if (first.type === "E") return sqlstateOf(first.body);
  if (first.body[3] === 0) {
    await client.receiveMessagesUntil("Z");
    return "in";
  }
  assert.equal(by, "OAUTHBEARER");
  assert.deepEqual(first.body.subarray(0, 4), int32(11)); // AuthenticationSASLContinue
  await client.send(HEARD);
  const { type, body } = await client.receiveMessage();
  assert.equal(type, "E");
  return sqlstateOf(body);
}

function sqlstateOf(body: Uint8Array): string {
  return /\0C(\w{5})\0/.exec(new TextDecoder().decode(body))![1];
}
