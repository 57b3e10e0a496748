import assert from "node:assert/strict";
import { errorResponse, loginIsComplete, SSL_REQUEST, text } from "../support/raw_messages.ts";
import { fatal } from "./backend_access.ts";
import { hostileStage } from "./backend_stage.ts";

const stage = hostileStage();

const LURE = "see attacker.example.com";

for (const [what, bytes] of [["a byte", text("!")], ["a login", loginIsComplete()]] as const) {
  stage.attack(`W2 ${what} behind the S of a backend is refused, and TLS does not begin`, async () => {
    const { told, heard, event } = await stage.refusedBy("require", async (connection) => {
      assert.deepEqual(await connection.receiveUntyped(), SSL_REQUEST.subarray(4));
      await connection.send(text("S"), bytes);
    });
    assert.deepEqual(told, fatal("08P01", 'backend "require" broke the protocol of the login'));
    assert.match(event.reason!, /received data after the answer to SSLRequest/);
    assert.equal(heard.length, 0);
  });
}

stage.attack("W2 an error in plain text where TLS should begin never reaches the client", async () => {
  const { told } = await stage.refusedBy("verify-full", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(text("S"));
    await connection.receive(5); // the ClientHello has begun
    await connection.send(errorResponse("28000", LURE));
  });
  assert.deepEqual(told, fatal("08001", 'could not reach backend "verify-full"'));
});

stage.attack("W2 an ErrorResponse in answer to SSLRequest never reaches the client", async () => {
  const { told, event, heard } = await stage.refusedBy("verify-full", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(errorResponse("28000", LURE));
  });
  assert.match(told.C, /^08/);
  assert.deepEqual(told, fatal(told.C, told.M));
  assert.doesNotMatch(JSON.stringify(told), /attacker/);
  assert.doesNotMatch(Deno.inspect(event), /attacker/);
  assert.equal(heard.length, 0);
});

for (const mode of ["require", "verify-ca", "verify-full"]) {
  stage.attack(
    `W4 N to SSLRequest ends a login with sslmode ${mode}, and nothing is sent in plain text`,
    async () => {
      const { told, heard } = await stage.refusedBy(mode, async (connection) => {
        await connection.receiveUntyped();
        await connection.send(text("N"));
      });
      assert.deepEqual(told, fatal("08001", `could not reach backend "${mode}"`));
      assert.equal(heard.length, 0);
    },
  );
}

stage.attack("W5 a backend that takes direct TLS without a word on ALPN is not spoken to", async () => {
  const { told, heard, event } = await stage.refusedBy(
    "direct",
    (connection) => connection.acceptTls(stage.certificate),
  );
  assert.deepEqual(told, fatal("08001", 'could not reach backend "direct"'));
  assert.match(event.reason!, /ALPN/);
  assert.equal(heard.length, 0);
});
