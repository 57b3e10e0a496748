import assert from "node:assert/strict";
import { loadConfiguration } from "../lib/config/load.ts";
import { CannotServe } from "../lib/listening.ts";
import { Limits } from "../lib/limits/limits.ts";
import { Proxy } from "../lib/proxy.ts";
import type { Pace } from "../lib/long_work.ts";
import { Secret } from "../lib/secret.ts";
import type { TokenDesk } from "../lib/token_desk.ts";
import { outsideOf, PEM, SMALLEST } from "./config/files.ts";
import { waitUntil } from "./support/wait_until.ts";

const TOKENS: TokenDesk = {
  verify: () => Promise.reject(new Error("no token comes")),
  standingOf: () => "good",
  introspectAgain: () => Promise.resolve("unknown"),
};

Deno.test("Proxy.open() says what is wrong with a certificate that TLS cannot use", async () => {
  const outside = outsideOf({ ...PEM, "config.toml": SMALLEST });
  const configuration = await loadConfiguration("/etc/proxy/config.toml", outside);
  const tls = { certificates: PEM["server.crt"], privateKey: new Secret(PEM["other.key"]) };
  const opening = Proxy.open({
    configuration: { ...configuration, listen: { ...configuration.listen, tls } },
    tokens: TOKENS,
    counts: new Limits(configuration.limits, () => 0),
    observe: () => {},
  });
  await assert.rejects(opening, (error) => {
    assert(error instanceof CannotServe);
    assert.equal(
      error.message,
      "listen.certificate cannot be used for TLS: private_key does not belong to certificate",
    );
    return true;
  });
});

Deno.test("Proxy lets others have their turn between two sessions that it asks whether they may stay", async () => {
  const toml = SMALLEST.replace("[listen]", '[listen]\naddress = "127.0.0.1:0"');
  const configuration = await loadConfiguration(
    "/etc/proxy/config.toml",
    outsideOf({ ...PEM, "config.toml": toml }),
  );
  const turns: number[] = [];
  const pace: Pace = (work) => {
    let step = work.next();
    let count = 0;
    for (; !step.done; step = work.next()) count++;
    turns.push(count);
    return step.value;
  };
  const counts = new Limits(configuration.limits, () => 0);
  await using proxy = await Proxy.open({ configuration, tokens: TOKENS, counts, observe: () => {}, pace });
  using clients = new DisposableStack();
  for (let client = 0; client < 3; client++) {
    const [{ host: hostname, port }] = proxy.addresses;
    clients.use(await Deno.connect({ hostname, port }));
  }
  await waitUntil(() => proxy.connectionCount === 3, { what: "three connections" });
  proxy.checkSessions();
  const change = await proxy.prepare({ configuration, tokens: TOKENS });
  assert.equal(await change.adopt().asked, undefined, "what was asked before is not kept");
  assert.deepEqual(turns, [3, 3]);
});
