import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import type { ConfigurationError } from "../../lib/config/problem.ts";
import { outsideOf, PEM, SMALLEST } from "./files.ts";

const PATH = "/etc/proxy/config.toml";

/** The smallest configuration, with these lines right behind `[listen]`: the first of them is line 2. */
function load(lines: string, files: Record<string, string | Error> = {}) {
  const toml = SMALLEST.replace("[listen]", `[listen]\n${lines}`);
  return loadConfiguration(PATH, outsideOf({ "config.toml": toml, ...PEM, ...files }));
}

Deno.test("loadConfiguration() reads the authorities of clients", async () => {
  const { listen, files } = await load('client_certificate = "require"\nclient_ca = "clients-ca.crt"');
  assert.equal(listen.client_certificate, "require");
  assert.equal(listen.clientAuthorities, PEM["clients-ca.crt"]);
  assert.ok(files.includes("/etc/proxy/clients-ca.crt"));
});

Deno.test("loadConfiguration() asks for no certificates of clients unless told to", async () => {
  const { listen } = await load("");
  assert.equal(listen.client_certificate, "none");
  assert.equal(listen.clientAuthorities, undefined);
});

Deno.test.each<[string, string, Record<string, string | Error>, string]>([
  ["does not exist", "x.crt", {}, "names x.crt, which does not exist"],
  ["is empty text", "", { "/etc/proxy": new Deno.errors.IsADirectory("x") }, "names , which is a directory"],
  ["holds no certificate", "server.key", {}, "names server.key, which holds no certificate in PEM form"],
  [
    "holds one certificate that is none",
    "broken.crt",
    { "broken.crt": PEM["ca.crt"] + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
    "names broken.crt, which holds a certificate that cannot be read: export it again",
  ],
])("loadConfiguration() refuses a client_ca that %s", async (_case, path, files, says) => {
  const lines = `client_certificate = "require"\nclient_ca = "${path}"`;
  await assert.rejects(load(lines, files), (error: ConfigurationError) => {
    assert.equal(error.message, `${PATH}:3: listen.client_ca ${says}`);
    return true;
  });
});

Deno.test("loadConfiguration() tells of a requirement without an authority, with its line", async () => {
  await assert.rejects(load('client_certificate = "require"'), (error: ConfigurationError) => {
    assert.match(error.message, /^\/etc\/proxy\/config\.toml:\d+: listen\.client_ca is required with/);
    return true;
  });
});

Deno.test("loadConfiguration() tells of bound tokens that nobody could present", async () => {
  const bound = SMALLEST.replace("[[issuers]]", "[[issuers]]\nrequire_binding = true");
  const outside = outsideOf({ "config.toml": bound, ...PEM });
  await assert.rejects(loadConfiguration(PATH, outside), (error: ConfigurationError) => {
    const says = 'is true, which needs client_certificate = "request" in [listen]: no token would be good';
    assert.equal(error.message, `${PATH}:6: issuers[0].require_binding ${says}`);
    return true;
  });
  const asking = bound.replace("[listen]", '[listen]\nclient_certificate = "request"');
  const { issuers } = await loadConfiguration(PATH, outsideOf({ "config.toml": asking, ...PEM }));
  assert.equal(issuers[0].require_binding, true);
});
