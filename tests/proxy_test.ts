import assert from "node:assert/strict";
import { loadConfiguration } from "../lib/config/load.ts";
import { CannotServe } from "../lib/listening.ts";
import { Limits } from "../lib/limits/limits.ts";
import { Proxy } from "../lib/proxy.ts";
import { Secret } from "../lib/secret.ts";
import { outsideOf, PEM, SMALLEST } from "./config/files.ts";

Deno.test("Proxy.open() says what is wrong with a certificate that TLS cannot use", async () => {
  const outside = outsideOf({ ...PEM, "config.toml": SMALLEST });
  const configuration = await loadConfiguration("/etc/proxy/config.toml", outside);
  const tls = { certificates: PEM["server.crt"], privateKey: new Secret(PEM["other.key"]) };
  const opening = Proxy.open({
    configuration: { ...configuration, listen: { ...configuration.listen, tls } },
    tokens: {
      verify: () => Promise.reject(new Error("no token comes")),
      standingOf: () => "good",
      introspectAgain: () => Promise.resolve("unknown"),
    },
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
