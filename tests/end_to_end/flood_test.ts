import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { readyForQuery } from "../support/raw_messages.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import { ask, LimitsScene } from "./limits_scene.ts";

const CONNECTIONS = 2000;
const LIMITS = { unauthenticated: 200, unauthenticated_per_address: 50 };

/** Besides those that count: what is on its way out, and what the flood has under way. */
const LEAVING = 100;
const AT_ONCE = 10;

Deno.test.each<[string, (index: number) => string, number]>([
  ["one address", () => "127.0.0.2", LIMITS.unauthenticated_per_address],
  ["many addresses", (index) => `127.1.${index >> 8}.${index & 255}`, LIMITS.unauthenticated],
])(
  "A11 W12 thousands of silent connections from %s keep nobody out, and stay few",
  async (_name, addressOf, most) => {
    const limits = Object.entries(LIMITS).map(([key, max]) => `${key} = ${max}`).join("\n");
    await using scene = await LimitsScene.start({ limits });
    const { client: session } = await scene.logIn();
    await using flood = new Flood(scene.proxy.port, addressOf);

    const flooding = flood.run();
    let logins = 0;
    let peak = 0;
    while (!flood.isOver) {
      await answers(session);
      const { client, outcome } = await scene.logIn();
      assert.equal(outcome, "in", `login ${logins} among ${flood.count} connections`);
      logins++;
      peak = Math.max(peak, scene.proxy.connectionCount);
      client.end();
    }
    await flooding;
    assert(logins > 5, `${logins} logins`);
    assert(peak <= most + LEAVING + AT_ONCE + 10, `${peak} connections at a time`);
    assert(scene.proxy.counted.unauthenticated <= most);

    // The crowd is still there, and who comes from where it is gets in all the same.
    assert(scene.proxy.connectionCount >= most);
    assert.equal((await scene.logIn({ localAddress: addressOf(0) })).outcome, "in");
    await answers(session);
    const hits = scene.proxy.events.filter((event) => event.kind === "limit_hit");
    assert(hits.length > CONNECTIONS / 2);
    assert.equal(hits.filter(({ isNews }) => isNews).length, 1);
  },
);

/** Clients that connect and say nothing; they leave only when the proxy does. */
class Flood implements AsyncDisposable {
  readonly #port: number;
  readonly #addressOf: (index: number) => string;
  readonly #sockets = new Set<Socket>();
  count = 0;

  constructor(port: number, addressOf: (index: number) => string) {
    this.#port = port;
    this.#addressOf = addressOf;
  }

  get isOver(): boolean {
    return this.count >= CONNECTIONS;
  }

  /** A few at a time, one behind the other, so that others have their turn on this one event loop. */
  async run(): Promise<void> {
    while (!this.isOver) await Promise.all(Array.from({ length: AT_ONCE }, () => this.#connect()));
  }

  #connect(): Promise<void> {
    const socket = connect({
      host: "127.0.0.1",
      port: this.#port,
      localAddress: this.#addressOf(this.count++),
    });
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    return new Promise((resolve) => socket.once("connect", resolve).once("close", () => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = [...this.#sockets].map((socket) =>
      new Promise((resolve) => socket.once("close", resolve).destroy())
    );
    await Promise.all(closed);
  }
}

/** A session has its answer. */
async function answers(session: RawConnection): Promise<void> {
  await ask(session, "select");
  assert.deepEqual(await session.receive(6), readyForQuery());
}
