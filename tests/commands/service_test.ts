import assert from "node:assert/strict";
import type { Loaded } from "../../lib/commands/load.ts";
import { Service } from "../../lib/commands/service.ts";
import { loadConfiguration } from "../../lib/config/load.ts";
import type { ProxyEvent, SessionEvent } from "../../lib/observe/events.ts";
import { TokenVerifier } from "../../lib/token/token_verifier.ts";
import { outsideOf, PEM, SMALLEST } from "../config/files.ts";
import { RawClient } from "../support/hostile_peer.ts";
import { SSL_REQUEST, text } from "../support/raw_messages.ts";
import { recording } from "../../lib/workers/read_inputs.ts";
import { waitUntil } from "../support/wait_until.ts";

const TOML = SMALLEST.replace("[listen]", '[listen]\naddress = "127.0.0.1:0"');

/** A service whose loads the test writes and lets through. */
class Scene implements AsyncDisposable {
  /** What is loaded next. */
  toml = TOML;
  /** Each load begun, until it is let through. */
  readonly loads: PromiseWithResolvers<void>[] = [];
  /** Which verifiers were closed, by the number of their load from 0. */
  readonly closed: number[] = [];
  readonly events: (SessionEvent | ProxyEvent)[] = [];
  #service: Service | null = null;

  static async open(): Promise<Scene> {
    const scene = new Scene();
    const opening = Service.open({
      load: () => scene.#load(),
      observerOf: () => (event) => void scene.events.push(event),
      startThread: () => assert.fail("no worker is wanted"),
    });
    scene.loads[0].resolve();
    scene.#service = await opening;
    return scene;
  }

  get service(): Service {
    return this.#service!;
  }

  kinds(): string[] {
    return this.events.map(({ kind }) => kind).filter((kind) => kind !== "listening");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service?.close();
  }

  async #load(): Promise<Loaded> {
    const number = this.loads.push(Promise.withResolvers()) - 1;
    await this.loads[number].promise;
    const verifier = await TokenVerifier.create([], { fetch, now: Date.now });
    const close = verifier.close.bind(verifier);
    verifier.close = () => {
      this.closed.push(number);
      return close();
    };
    try {
      const disk = outsideOf({ ...PEM, "config.toml": this.toml });
      const { outside, inputs } = recording({ path: "/etc/proxy/config.toml" }, disk);
      return { configuration: await loadConfiguration(inputs.source, outside), verifier, inputs };
    } catch (error) {
      await verifier.close();
      throw error;
    }
  }
}

Deno.test("reload() goes on by the new configuration, and lets go of what the old one had", async () => {
  await using scene = await Scene.open();
  const reloading = scene.service.reload();
  scene.loads[1].resolve();
  await reloading;
  assert.deepEqual(scene.kinds(), ["configuration_reloaded"]);
  await waitUntil(() => scene.closed.length === 1, { what: "the old verifier to be closed" });
  assert.deepEqual(scene.closed, [0]);
  await scene.service.close();
  assert.deepEqual(scene.closed, [0, 1]);
});

Deno.test("reload() keeps for a login under way only the configuration that it goes by", async () => {
  await using scene = await Scene.open();
  {
    await using client = await RawClient.connect(scene.service.serving.addresses[0].port);
    await client.send(SSL_REQUEST);
    assert.deepEqual(await client.receive(1), text("S"));
    for (const number of [1, 2, 3]) {
      const reloading = scene.service.reload();
      scene.loads[number].resolve();
      await reloading;
    }
    await waitUntil(() => scene.closed.length === 2, { what: "what nobody goes by to be closed" });
    assert.deepEqual(scene.closed, [1, 2]);
  }
  await waitUntil(() => scene.closed.length === 3, { what: "the oldest to be closed" });
  assert.deepEqual(scene.closed, [1, 2, 0]);
});

Deno.test("reload() asked for again and again while it loads does so once more, one behind the other", async () => {
  await using scene = await Scene.open();
  const asked = [scene.service.reload(), scene.service.reload(), scene.service.reload()];
  assert.equal(scene.loads.length, 2);
  scene.loads[1].resolve();
  await waitUntil(() => scene.loads.length === 3, { what: "the load once more" });
  assert.deepEqual(scene.kinds(), ["configuration_reloaded"]);
  scene.loads[2].resolve();
  await Promise.all(asked);
  assert.equal(scene.loads.length, 3);
  assert.deepEqual(scene.kinds(), ["configuration_reloaded", "configuration_reloaded"]);
});

Deno.test.each<[string, (toml: string) => string, string]>([
  [
    "has a mistake",
    (toml) => toml.replace("match", "mach"),
    "/etc/proxy/config.toml:17: rules[0].mach is not a known key: did you mean match?",
  ],
  [
    "wants an address that this machine does not have",
    (toml) => toml.replace('"127.0.0.1:0"', '["127.0.0.1:0", "192.0.2.1:6432"]'),
    "cannot listen on listen.address: this machine has no such address; choose one it has, or 0.0.0.0 for all",
  ],
])("reload() of a configuration that %s leaves everything as it is", async (_name, change, reason) => {
  await using scene = await Scene.open();
  scene.toml = change(TOML);
  const reloading = scene.service.reload();
  scene.loads[1].resolve();
  await reloading;
  assert.deepEqual(scene.events.at(-1), { kind: "reload_failed", reason });
  assert.deepEqual(scene.closed, [1]);
  scene.toml = TOML;
  const again = scene.service.reload();
  scene.loads[2].resolve();
  await again;
  assert.deepEqual(scene.kinds(), ["reload_failed", "configuration_reloaded"]);
});

Deno.test("drain() goes by the configuration's times, and nothing is loaded anew any more", async () => {
  await using scene = await Scene.open();
  assert.deepEqual(await scene.service.drain(), { cut: 0 });
  await scene.service.reload();
  assert.equal(scene.loads.length, 1);
  assert.deepEqual(scene.events.slice(-2), [
    { kind: "draining", sessions: 0, graceMs: 30_000, delayMs: 0 },
    { kind: "drained", sessionsCut: 0 },
  ]);
});

Deno.test("close() while it loads anew lets go of what is loaded then", async () => {
  await using scene = await Scene.open();
  const reloading = scene.service.reload();
  await scene.service.close();
  scene.loads[1].resolve();
  await reloading;
  assert.deepEqual(scene.closed, [0, 1]);
  assert.deepEqual(scene.kinds(), []);
});

Deno.test("drain() while workers are asked about what was loaded anew lets go of that, and goes on by the old one", async () => {
  await using scene = await Scene.open();
  const { service } = scene;
  const prepare = service.serving.prepare.bind(service.serving);
  let draining: Promise<unknown> | undefined;
  let discards = 0;
  service.serving.prepare = async (served) => {
    const change = await prepare(served);
    draining = service.drain();
    const discard = () => {
      discards++;
      change.discard();
    };
    return { ...change, discard };
  };
  const reloading = service.reload();
  scene.loads[1].resolve();
  await reloading;
  await draining;
  assert.deepEqual(scene.closed, [1]);
  assert.equal(discards, 1);
  assert.deepEqual(scene.kinds(), ["draining", "drained"]);
});
