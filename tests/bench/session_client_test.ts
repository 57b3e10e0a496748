import assert from "node:assert/strict";
import { SessionClient } from "./session_client.ts";

const SSL_REQUEST_LENGTH = 8;

/** Deno takes the connection for TLS, and then finds it cannot read this: there is nothing left to close. */
const NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";

Deno.test("a login whose TLS cannot begin fails by that, and throws nothing to nobody", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answering = (async () => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(SSL_REQUEST_LENGTH));
    await conn.write(new TextEncoder().encode("S"));
    return await conn.read(new Uint8Array(1));
  })();
  const { port } = listener.addr as Deno.NetAddr;
  const simpleCredentials = { user: "app_trust", password: "" };
  await assert.rejects(
    SessionClient.open({ port, transport: "TLS", simpleCredentials }, NO_CERTIFICATE),
    /invalid peer certificate/,
  );
  assert.equal(await answering, null);
});
