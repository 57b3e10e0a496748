import assert from "node:assert/strict";
import { negotiateTls, type TlsWanted } from "../../lib/connect/negotiate_tls.ts";
import { startTls } from "../../lib/connect/questions.ts";
import { PgError } from "../../lib/errors.ts";
import { encodeMessage } from "../../lib/wire/message.ts";
import { startupPacket } from "../../lib/wire/startup_packet.ts";
import { answers, hears, play, says, type Step } from "../support/play.ts";
import { bytes } from "../wire/bytes.ts";
import { error } from "./backend_words.ts";

const WANTED: TlsWanted = {
  backend: "orders",
  serverName: "db1.example.com",
  sslmode: "verify-full",
  isDirect: false,
};

const hearsSslRequest = hears(encodeMessage(startupPacket, { kind: "SSLRequest" }));

Deno.test("negotiateTls() goes on inside TLS when the backend answers S", () => {
  const certificate = new Uint8Array([1]);
  const started = play(negotiateTls(WANTED), [
    hearsSslRequest,
    says(bytes("S")),
    answers(startTls, (asked) => {
      assert.deepEqual(asked, {
        serverName: "db1.example.com",
        sslmode: "verify-full",
        isAlpnRequired: false,
      });
      return { certificate };
    }),
  ]);
  assert.deepEqual(started, { certificate });
});

Deno.test("negotiateTls() starts direct TLS without a word, and has to see ALPN", () => {
  play(negotiateTls({ ...WANTED, isDirect: true }), [
    answers(startTls, ({ isAlpnRequired }) => {
      assert.equal(isAlpnRequired, true);
      return {};
    }),
  ]);
});

Deno.test("W4 N is never an invitation to plain text", () => {
  const thrown = refusal([hearsSslRequest, says(bytes("N"))]);
  assert.equal(thrown.sqlstate, "08001");
  assert.match(thrown.reason!, /no TLS/);
});

Deno.test.each([
  { case: "more than its one byte", said: bytes("SR", 0, 0) },
  { case: "a byte that is neither S nor N", said: bytes("X") },
  { case: "a zero byte", said: bytes(0) },
])("W2 a backend that sends $case before TLS is dropped", ({ said }) => {
  const thrown = refusal([hearsSslRequest, says(said)]);
  assert.equal(thrown.sqlstate, "08P01");
  assert.equal(thrown.blame, "backend");
});

Deno.test("W2 an ErrorResponse before TLS never reaches the client, nor the log", () => {
  const said = error({ sqlstate: "53300", message: "written by whoever sits in between" });
  const thrown = refusal([hearsSslRequest, says(said)]);
  assert.equal(thrown.sqlstate, "08001");
  assert.equal(thrown.message, 'could not reach backend "orders"');
  assert.doesNotMatch(Deno.inspect(thrown), /in between/);
});

Deno.test("a handshake that fails is told without its details", () => {
  const thrown = refusal([
    hearsSslRequest,
    says(bytes("S")),
    answers(startTls, () => {
      throw new PgError("08001", "certificate of db1.example.com has expired", { reason: "expired" });
    }),
  ]);
  assert.deepEqual([thrown.sqlstate, thrown.message, thrown.reason], [
    "08001",
    'could not reach backend "orders"',
    "expired",
  ]);
});

Deno.test("a deadline that passes in the handshake is not the backend's fault", () => {
  const thrown = refusal([
    hearsSslRequest,
    says(bytes("S")),
    answers(startTls, () => {
      throw new PgError("57014", "canceling authentication due to timeout");
    }),
  ]);
  assert.equal(thrown.sqlstate, "57014");
});

function refusal(script: readonly Step[]): PgError {
  try {
    play(negotiateTls(WANTED), script);
  } catch (thrown) {
    if (thrown instanceof PgError) return thrown;
    throw thrown;
  }
  throw new assert.AssertionError({ message: "TLS was not refused" });
}
