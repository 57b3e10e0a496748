import assert from "node:assert/strict";
import { decodeJwt } from "jose";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";
import { TokenFiles } from "./token_files.ts";
import { VISITORS } from "./visitors.ts";

const [alice] = VISITORS;

Deno.test("TokenFiles has a token for each visitor, for nobody else to read", async () => {
  await using issuer = await OidcIssuer.start();
  await using directory = await tempDirectory();
  await using files = await TokenFiles.write({ directory: directory.path, issuer });
  for (const visitor of VISITORS) {
    assert.equal(decodeJwt(await files.read(visitor)).sub, visitor.claims.sub);
    assert.equal((await Deno.stat(files.path(visitor))).mode! & 0o777, 0o600);
  }
});

Deno.test("TokenFiles writes a new token before the old one expires", async () => {
  await using issuer = await OidcIssuer.start();
  await using directory = await tempDirectory();
  await using files = await TokenFiles.write({ directory: directory.path, issuer, lifetimeSeconds: 4 });
  const first = await files.read(alice);
  await waitUntil(async () => await files.read(alice) !== first, { what: "another token", timeoutMs: 5000 });
  assert.ok(Date.now() < decodeJwt(first).exp! * 1000);
});
