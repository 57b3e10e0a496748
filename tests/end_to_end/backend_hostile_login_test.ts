import assert from "node:assert/strict";
import type { Script } from "../support/hostile_peer.ts";
import {
  authentication,
  concat,
  cString,
  int32,
  loginIsComplete,
  type RawMessage,
  readyForQuery,
  typed,
} from "../support/raw_messages.ts";
import { fatal } from "./backend_access.ts";
import { hostileStage } from "./backend_stage.ts";

const stage = hostileStage();

const LURE = "see attacker.example.com";

const ok = authentication(0);
const status = (name: string, value: string) => typed("S", concat(cString(name), cString(value)));
const notice = (message: string) =>
  typed("N", concat(...["SNOTICE", "C00000", `M${message}`].map(cString), Uint8Array.of(0)));

for (
  const [what, backend, request] of [
    ["cleartext where SCRAM is required", "scram", authentication(3)],
    ["MD5 where SCRAM is required", "scram", authentication(5, Uint8Array.of(1, 2, 3, 4))],
    ["nothing where SCRAM is required", "scram", loginIsComplete()],
    ["cleartext without TLS off loopback", "plain elsewhere", authentication(3)],
    ["MD5 off loopback", "plain elsewhere", authentication(5, Uint8Array.of(1, 2, 3, 4))],
    ["GSSAPI", "plain", authentication(7)],
    [
      "a SASL mechanism nobody knows",
      "plain",
      authentication(10, concat(cString("X-PLAIN"), Uint8Array.of(0))),
    ],
    [
      "SCRAM-SHA-256-PLUS without TLS",
      "plain",
      authentication(10, concat(cString("SCRAM-SHA-256-PLUS"), cString("SCRAM-SHA-256"), Uint8Array.of(0))),
    ],
  ] as const
) {
  stage.attack(`B3 a backend that asks for ${what} gets nothing`, async () => {
    const { told, heard } = await stage.refusedBy(backend, async (connection) => {
      await connection.receiveUntyped();
      await connection.send(request);
    });
    assert.deepEqual(
      told,
      fatal("08001", `backend "${backend}" asked for a login method that is not allowed`),
    );
    assert.equal(heard.length, 0);
  });
}

for (
  const [what, fields] of [
    ["without any field", []],
    ["without an SQLSTATE", ["SFATAL", `M${LURE}`]],
    ["with an SQLSTATE of two letters", ["SFATAL", "CXX", `M${LURE}`]],
    ["with the SQLSTATE of success", ["SFATAL", "C00000", `M${LURE}`]],
  ] as const
) {
  stage.attack(`B4 an ErrorResponse ${what} is tolerated`, async () => {
    const { told } = await stage.refusedBy("plain", async (connection) => {
      await connection.receiveUntyped();
      await connection.send(typed("E", concat(...fields.map(cString), Uint8Array.of(0))));
    });
    assert.deepEqual(told, fatal("08006", 'backend "plain" ended the login'));
  });
}

stage.attack("B5 what a backend says during login reaches the client unchanged and in order", async () => {
  const before = [notice("first")];
  const after = [
    status("a", "1"),
    notice("second"),
    status("a", "2"),
    status("b", "\u00e9"),
    notice("third"),
  ];
  const script: Script = async (connection) => {
    await connection.receiveUntyped();
    await connection.send(...before, ok, ...after, typed("K", concat(int32(1), int32(2))), readyForQuery());
    await connection.receiveToEnd();
  };
  await using client = await stage.letIn(script);
  const [first, ...rest] = client.told;
  assert.deepEqual(bytesOf([first]), ok);
  assert.deepEqual(rest.splice(-2).map(({ type }) => type), ["K", "Z"]);
  assert.deepEqual(bytesOf(rest), concat(...before, ...after));
});

stage.attack(
  "B5 NegotiateProtocolVersion of a backend is tolerated, and the client keeps the version it asked for",
  async () => {
    const asked = Promise.withResolvers<number>();
    const script: Script = async (connection) => {
      asked.resolve(new DataView((await connection.receiveUntyped()).slice().buffer).getInt32(0));
      await connection.send(typed("v", concat(int32(196608), int32(0))), loginIsComplete());
      await connection.receiveToEnd();
    };
    await using client = await stage.letIn(script, { version: 196610 });
    assert.equal(await asked.promise, 196610);
    assert.equal(client.told.map(({ type }) => type).join(""), "RSKZ");
  },
);

stage.attack("B6 a backend without BackendKeyData leaves the client without a key", async () => {
  const script: Script = async (connection) => {
    await connection.receiveUntyped();
    await connection.send(ok, status("server_version", "18.0"), readyForQuery());
    await connection.receiveToEnd();
  };
  await using client = await stage.letIn(script);
  assert.equal(client.told.map(({ type }) => type).join(""), "RSZ");
});

for (const length of [4, 256]) {
  stage.attack(`B6 a BackendKeyData whose key has ${length} bytes is good`, async () => {
    const script: Script = async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete(1, new Uint8Array(length)));
      await connection.receiveToEnd();
    };
    await using client = await stage.letIn(script);
    const key = client.told.find(({ type }) => type === "K")!;
    assert.equal(key.body.length, 8, "the client's key is the proxy's own, of protocol 3.0");
  });
}

for (const length of [0, 3, 257]) {
  stage.attack(`B6 a BackendKeyData whose key has ${length} bytes is refused`, async () => {
    const { told } = await stage.refusedBy("plain", async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete(1, new Uint8Array(length)));
    });
    assert.deepEqual(told, fatal("08P01", 'backend "plain" broke the protocol of the login'));
  });
}

function bytesOf(messages: readonly RawMessage[]): Uint8Array {
  return concat(...messages.map(({ type, body }) => typed(type, body)));
}
