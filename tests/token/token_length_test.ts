import assert from "node:assert/strict";
import { faultOf } from "./fake_issuer.ts";
import { FakeEndpoint } from "./introspection/fake_endpoint.ts";

// Of a signed token its parser counts the bytes as well; one that says nothing would travel on to whoever is asked.
Deno.test("T19 an opaque token is shown to its issuer up to max_token_bytes, and no longer one", async () => {
  const endpoint = new FakeEndpoint();
  await using verifier = await endpoint.verifier(undefined, { maxTokenBytes: 100 });
  assert.equal(await faultOf(verifier, "o".repeat(101)), "too_long");
  assert.equal(endpoint.requests.length, 0);
  assert.equal((await verifier.verify("o".repeat(100))).subject, "alice");
  assert.equal(endpoint.requests.length, 1);
});
