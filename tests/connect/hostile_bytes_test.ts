import assert from "node:assert/strict";
import fc from "fast-check";
import { scramKeys } from "../../lib/connect/scram_keys.ts";
import { parseServerFinal, parseServerFirst } from "../../lib/connect/scram_messages.ts";
import { reachBackend } from "../../lib/connect/reach_backend.ts";
import { parseTarget } from "../../lib/connect/target.ts";
import type { Ask, Dialogue } from "../../lib/dialogue.ts";
import { PgError } from "../../lib/errors.ts";
import { Secret } from "../../lib/secret.ts";
import { Framing } from "../../lib/wire/framing.ts";
import { decodeMessage } from "../../lib/wire/message.ts";
import { bytes, int32 } from "../wire/bytes.ts";
import {
  ANY_AUTH,
  auth,
  CLIENT_NONCE,
  error,
  key,
  notice,
  ok,
  ready,
  sasl,
  saslContinue,
  saslFinal,
  STARTUP,
  status,
} from "./backend_words.ts";

const words = fc.constantFrom(
  ok,
  ready,
  sasl("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
  saslContinue(`r=${CLIENT_NONCE}x,s=c2FsdA==,i=4096`),
  saslFinal("v=AAAA"),
  sasl("OAUTHBEARER"),
  saslContinue('{"status":"invalid_token"}'),
  error({ sqlstate: "28000", message: "no to a.b.c" }),
  auth({ kind: "AuthenticationCleartextPassword" }),
  auth({ kind: "AuthenticationMD5Password", salt: new Uint8Array(4) }),
  notice("hello"),
  status("in_hot_standby", "on"),
  error({ sqlstate: "57P03" }),
  error({}),
  key(1, new Uint8Array(4)),
  bytes("D", int32(6), 0, 0),
  bytes("S"),
);

const typedMess = fc.tuple(fc.constantFrom(..."RSKZEvNTDC"), fc.uint8Array({ maxLength: 40 }))
  .map(([type, body]) => bytes(type, int32(4 + body.length), body));

const speech = fc.array(fc.oneof(words, typedMess, fc.uint8Array({ maxLength: 12 })), { maxLength: 12 })
  .map((pieces) => bytes(...pieces));

const url = fc.constantFrom(
  "postgres://app:pencil@h1?sslmode=disable",
  "postgres://app:pencil@h1?sslmode=disable&target_session_attrs=primary",
  "postgres://app:pencil@h1,h2",
  "postgres://app:pencil@h1?sslnegotiation=direct&target_session_attrs=prefer-standby",
);

Deno.test("whatever bytes a backend sends, a login ends in a result or a PgError that is not the client's fault", () => {
  fc.assert(
    fc.property(url, speech, (url, said) => {
      const reach = {
        backend: "orders",
        startup: STARTUP,
        requireAuth: [...ANY_AUTH, "oauth" as const],
        channelBinding: "prefer" as const,
        token: new Secret("a.b.c"),
      };
      try {
        assert.ok(hear(reachBackend(parseTarget(url), reach), said).host);
      } catch (thrown) {
        assert.ok(thrown instanceof PgError, Deno.inspect(thrown));
        assert.equal(thrown.blame, "backend");
        assert.equal(thrown.severity, "FATAL");
        assert.doesNotMatch(thrown.message, /\bh[12]\b|pencil/);
        assert.doesNotMatch(thrown.reason ?? "", /pencil|a\.b\.c/);
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("whatever text SCRAM's messages are, they are parsed or found wrong", () => {
  const attribute = fc.oneof(
    fc.constantFrom(`r=${CLIENT_NONCE}x`, "s=c2FsdA==", "i=4096", "v=AAAA", "e=other-error", "m=x"),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(fc.property(fc.array(attribute, { maxLength: 5 }), (attributes) => {
    const message = attributes.join(",");
    const first = parseServerFirst(message, CLIENT_NONCE);
    if (first.ok) assert.ok(first.iterations >= 4096 && first.salt.length > 0);
    const final = parseServerFinal(message);
    if (final.ok) assert.match(message, /^v=/);
  }));
});

/** Speaks a dialogue with a peer that says `said` and is gone then; every question has a simple answer. */
function hear<T>(dialogue: Dialogue<T>, said: Uint8Array): T {
  const framing = new Framing();
  framing.push(said);
  let result = dialogue.next();
  while (!result.done) {
    let reply: unknown;
    try {
      reply = replyTo(result.value, framing);
    } catch (thrown) {
      result = dialogue.throw(thrown);
      continue;
    }
    result = dialogue.next(reply);
  }
  return result.value;
}

function replyTo(ask: Ask, framing: Framing): unknown {
  switch (ask.ask) {
    case "send":
      return undefined;
    case "receive": {
      const frame = framing.take(ask.expected);
      if (frame === null) throw closed();
      return decodeMessage(frame.message, frame.body);
    }
    case "receiveByte": {
      const byte = framing.takeByte();
      if (byte === undefined) throw closed();
      return byte;
    }
    case "peekByte":
      return framing.peek() ?? null;
    case "nothingBuffered":
      // The rest of what is said comes inside TLS.
      return undefined;
    case "question":
      return {
        startTls: {},
        randomBytes: new Uint8Array(18),
        deriveScramKeys: scramKeys(new Uint8Array(32)),
      }[
        ask.question.question
      ];
  }
}

function closed(): PgError {
  return new PgError("08006", "connection closed");
}
