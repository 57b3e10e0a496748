import assert from "node:assert/strict";
import type { Configuration } from "../lib/config/configuration.ts";
import type { ListenAddress } from "../lib/listen_address.ts";
import { Listeners, type PreparedListeners } from "../lib/listeners.ts";
import { CannotServe } from "../lib/listening.ts";
import { Secret } from "../lib/secret.ts";
import type { ByteStream } from "../lib/stream/byte_stream.ts";
import { freePort } from "./support/free_port.ts";
import { waitUntil } from "./support/wait_until.ts";

const TLS: Configuration["listen"]["tls"] = { certificates: "", privateKey: new Secret("") };
const ANY = { host: "127.0.0.1", port: 0 };
const OTHER = { host: "127.0.0.2", port: 0 };
/** A documentation address (RFC 5737): no machine has it. */
const NOT_OURS = { host: "192.0.2.1", port: 6432 };

/** Listeners, and who has come in by them. */
class Scene implements Disposable {
  readonly listening: string[] = [];
  readonly entered: string[] = [];
  readonly #streams: ByteStream[] = [];
  readonly listeners = new Listeners({
    connection: (stream, listener) => {
      this.#streams.push(stream);
      this.entered.push(listener);
    },
    acceptPaused: (error) => assert.fail(error),
    listening: ({ host }, isTlsOffered) =>
      void this.listening.push(`${host} ${isTlsOffered ? "TLS" : "plain"}`),
  });

  prepare(address: ListenAddress | ListenAddress[], tls = TLS): Promise<PreparedListeners> {
    return this.listeners.prepare({ address, tls } as Configuration["listen"]);
  }

  [Symbol.dispose](): void {
    this.listeners.close();
    for (const stream of this.#streams) stream.destroy();
  }
}

for (const [kind, tls] of [["with TLS", TLS], ["without TLS", undefined]] as const) {
  Deno.test(`a listener ${kind} whose address has not changed keeps its socket, and who waits in its queue`, async () => {
    using scene = new Scene();
    const open = (address: ListenAddress | ListenAddress[]) =>
      scene.listeners.prepare({ address, tls } as Configuration["listen"]);
    (await open([OTHER, ANY])).adopt();
    const [, { port }] = scene.listeners.addresses;
    const change = await open(ANY);
    using _client = await Deno.connect({ hostname: "127.0.0.1", port });
    change.adopt();
    assert.deepEqual(scene.listeners.addresses, [{ host: "127.0.0.1", port }]);
    await waitUntil(() => scene.entered.length === 1, { what: "the client to be let in" });
    assert.deepEqual(scene.entered, ["127.0.0.1:0"]);
  });
}

Deno.test("who comes by a new address before it is certain waits, and is then let in", async () => {
  using scene = new Scene();
  (await scene.prepare(ANY)).adopt();
  const port = await freePort();
  const change = await scene.prepare([ANY, { host: "127.0.0.1", port }]);
  using _client = await Deno.connect({ hostname: "127.0.0.1", port });
  using _another = await Deno.connect({ hostname: "127.0.0.1", port: scene.listeners.addresses[0].port });
  // The other listener has been at work since.
  await waitUntil(() => scene.entered.length === 1, { what: "the other client to be let in" });
  assert.deepEqual(scene.entered, ["127.0.0.1:0"]);
  change.adopt();
  await waitUntil(() => scene.entered.length === 2, { what: "the client to be let in" });
  assert.deepEqual(scene.listening, ["127.0.0.1 TLS", "127.0.0.1 TLS"]);
});

Deno.test("an address that is not wanted any more is closed when it is certain, and not before", async () => {
  using scene = new Scene();
  (await scene.prepare([ANY, OTHER])).adopt();
  const [, { port }] = scene.listeners.addresses;
  const change = await scene.prepare(ANY);
  (await Deno.connect({ hostname: "127.0.0.2", port })).close();
  change.adopt();
  await assert.rejects(Deno.connect({ hostname: "127.0.0.2", port }), Deno.errors.ConnectionRefused);
});

Deno.test("if one address cannot be listened on, none is changed", async () => {
  using scene = new Scene();
  (await scene.prepare(ANY)).adopt();
  const before = scene.listeners.addresses;
  const port = await freePort();
  await assert.rejects(scene.prepare([{ host: "127.0.0.1", port }, NOT_OURS]), CannotServe);
  assert.deepEqual(scene.listeners.addresses, before);
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
  (await Deno.connect({ hostname: "127.0.0.1", port: before[0].port })).close();
});

Deno.test("an address that overlaps with one of before is refused with a sentence of its own", async () => {
  using scene = new Scene();
  (await scene.prepare(ANY)).adopt();
  const [{ port }] = scene.listeners.addresses;
  await assert.rejects(scene.prepare({ host: "0.0.0.0", port }), {
    message:
      `listen.address has changed to 0.0.0.0:${port}, which overlaps with what is listened on now and takes a restart:` +
      " end the program and start it again, or choose another port",
  });
});

Deno.test("TLS cannot be added to an address that stays", async () => {
  using scene = new Scene();
  (await scene.listeners.prepare({ address: ANY } as Configuration["listen"])).adopt();
  await assert.rejects(scene.prepare([OTHER, ANY]), {
    message:
      "listen.certificate has been added, which takes a restart: end the program and start it again, or choose another" +
      " address",
  });
  (await scene.prepare(OTHER)).adopt();
  assert.deepEqual(scene.listening, ["127.0.0.1 plain", "127.0.0.2 TLS"]);
});

Deno.test("TLS can be removed from an address that stays", async () => {
  using scene = new Scene();
  (await scene.prepare(ANY)).adopt();
  const before = scene.listeners.addresses;
  (await scene.listeners.prepare({ address: ANY } as Configuration["listen"])).adopt();
  assert.deepEqual(scene.listeners.addresses, before);
});

Deno.test("listeners that were closed while others are opened open none", async () => {
  using scene = new Scene();
  const preparing = scene.prepare(ANY);
  scene.listeners.close();
  await assert.rejects(preparing, { message: "the proxy is shutting down" });
});

Deno.test("what was prepared before the listeners were closed lets nobody in when it is adopted after that", async () => {
  using scene = new Scene();
  (await scene.prepare(ANY)).adopt();
  const port = await freePort();
  const change = await scene.prepare([ANY, { host: "127.0.0.1", port }]);
  scene.listeners.close();
  change.adopt();
  assert.deepEqual(scene.listeners.addresses, []);
  assert.deepEqual(scene.listening, ["127.0.0.1 TLS"]);
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
});
