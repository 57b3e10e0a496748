import assert from "node:assert/strict";
import { join } from "node:path";
import { loadConfiguration } from "../lib/config/load.ts";
import { CannotServe, Proxy } from "../lib/proxy.ts";
import { Secret } from "../lib/secret.ts";
import { createAuthority } from "./support/certificates.ts";
import { tempDirectory } from "./support/temp_directory.ts";

Deno.test("Proxy.open() says what is wrong with a certificate that TLS cannot use", async () => {
  await using directory = await tempDirectory();
  const authority = await createAuthority("proxy");
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  const files = { "server.crt": certificatePem, "server.key": keyPem, "config.toml": TOML };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(join(directory.path, name), text);
  }
  const configuration = await loadConfiguration(join(directory.path, "config.toml"));
  const other = await authority.issueForLoopback();
  const tls = { certificates: certificatePem, privateKey: new Secret(other.keyPem) };
  const opening = Proxy.open({
    configuration: { ...configuration, listen: { ...configuration.listen, tls } },
    verifyToken: () => Promise.reject(new Error("no token comes")),
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

const TOML = `
[listen]
address = "127.0.0.1:0"
certificate = "server.crt"
private_key = "server.key"

[[issuers]]
name = "corp"
url = "https://issuer.example"
audience = ["pg-auth-proxy"]

[[backends]]
name = "main"
url = "postgres://app@localhost/app"

[[rules]]
issuer = "corp"
match = "alice"
backend = "main"
`;
