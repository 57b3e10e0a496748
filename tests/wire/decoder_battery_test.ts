import assert from "node:assert/strict";
import fc from "fast-check";
import { PgError } from "../../lib/errors.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message.ts";
import { arbitraries } from "./arbitraries.ts";
import { goldenBytes } from "./golden_bytes.ts";
import { type AnyMessage, encodeBody, headerLength, messages, roundTrip } from "./messages.ts";

/** Kinds whose last field has no end of its own: what is left of them after a cut is a shorter value of their kind. */
const KINDS_WITH_A_FREE_TAIL = new Set([
  "AuthenticationSASLContinue",
  "AuthenticationSASLFinal",
  "AuthenticationUnsupported",
  "BackendKeyData",
  "CancelRequest",
  "RowDescription",
  "SASLResponse",
]);

Deno.test("the battery finds the messages of lib/wire/", () => {
  const names = messages.map((message) => message.name);
  for (
    const name of ["startup packet", "Authentication", "BackendKeyData", "ErrorResponse", "SASLResponse"]
  ) {
    assert.ok(names.includes(name), `${name} is not found`);
  }
});

Deno.test("every arbitrary and every golden table belongs to a message", () => {
  const names = messages.map((message) => message.name);
  for (const name of [...Object.keys(arbitraries), ...Object.keys(goldenBytes)]) {
    assert.ok(names.includes(name), `${name} is no message of lib/wire/`);
  }
});

for (const message of messages) {
  Deno.test(`${message.name} has an arbitrary and golden bytes`, () => {
    assert.ok(arbitraries[message.name], `give ${message.name} an arbitrary in arbitraries.ts`);
    assert.ok(goldenBytes[message.name]?.length, `give ${message.name} its golden bytes in golden_bytes.ts`);
  });

  Deno.test(`${message.name} has golden bytes for each of its kinds`, () => {
    const golden = new Set(goldenOf(message).map(({ value }) => value.kind));
    const kinds = fc.sample(valueOf(message), 500).map(kindOf);
    assert.deepEqual(kinds.filter((kind) => !golden.has(kind)), []);
  });

  for (const { value, bytes } of goldenOf(message)) {
    const title = `${message.name} ${
      value.kind === message.name ? "" : `${value.kind} `
    }of ${bytes.length} bytes`;

    Deno.test(`${title} is encoded as the golden bytes`, () => {
      assert.deepEqual([...encodeMessage(message, value)], [...bytes]);
    });

    Deno.test(`${title} is decoded from the golden bytes`, () => {
      assert.deepEqual(decodeMessage(message, bytes.subarray(headerLength(message))), value);
    });

    Deno.test(`${title} is no longer than its limit`, () => {
      assert.ok(bytes.length <= message.maxLength + 1);
    });
  }

  Deno.test(`${message.name} makes the round trip`, () => {
    fc.assert(fc.property(valueOf(message), (value) => {
      assert.deepEqual(roundTrip(message, value), value);
    }));
  });

  Deno.test(`${message.name} is refused at every truncation, or is what its shorter tail says`, () => {
    for (const { value, bytes } of goldenOf(message)) {
      const body = bytes.subarray(headerLength(message));
      for (let length = 0; length < body.length; length++) {
        assertTruncated(message, value, body.subarray(0, length));
      }
    }
  });

  Deno.test(`${message.name} with any value is refused when cut, or is what its shorter tail says`, () => {
    fc.assert(fc.property(valueOf(message), fc.nat(), (value, at) => {
      const body = encodeBody(message, value);
      if (body.length > 0) assertTruncated(message, value, body.subarray(0, at % body.length));
    }));
  });

  Deno.test(`${message.name} with bytes too many is refused, or they belong to its tail`, () => {
    fc.assert(
      fc.property(valueOf(message), fc.uint8Array({ minLength: 1, maxLength: 9 }), (value, more) => {
        const body = new Uint8Array([...encodeBody(message, value), ...more]);
        if (KINDS_WITH_A_FREE_TAIL.has(kindOf(value)) || isOfAnotherProtocol(value)) {
          assertValueOrViolation(message, body);
        } else {
          assert.throws(() => decodeMessage(message, body), isViolation);
        }
      }),
    );
  });

  Deno.test(`${message.name} of random bytes is a value or a protocol violation`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (body) => assertValueOrViolation(message, body)),
      { numRuns: 300 },
    );
  });

  Deno.test(`${message.name} with one byte changed is a value or a protocol violation`, () => {
    fc.assert(
      fc.property(valueOf(message), fc.nat(), fc.nat({ max: 255 }), (value, at, byte) => {
        const body = encodeBody(message, value);
        if (body.length > 0) body[at % body.length] = byte;
        assertValueOrViolation(message, body);
      }),
      { numRuns: 300 },
    );
  });
}

function assertTruncated(message: AnyMessage, value: unknown, cut: Uint8Array): void {
  if (!KINDS_WITH_A_FREE_TAIL.has(kindOf(value))) {
    assert.throws(() => decodeMessage(message, cut), isViolation);
    return;
  }
  const shorter = valueOrViolation(message, cut);
  if (shorter === undefined) return;
  assert.equal(kindOf(shorter), kindOf(value));
  assert.deepEqual([...encodeBody(message, shorter)], [...cut]);
}

function assertValueOrViolation(message: AnyMessage, body: Uint8Array): void {
  const value = valueOrViolation(message, body);
  if (value !== undefined) assert.deepEqual(roundTrip(message, value), value);
}

function valueOrViolation(message: AnyMessage, body: Uint8Array): unknown {
  try {
    return decodeMessage(message, body);
  } catch (error) {
    assert.ok(isViolation(error), `${message.name} failed otherwise: ${error}`);
    return undefined;
  }
}

function isViolation(error: unknown): boolean {
  return error instanceof PgError && error.sqlstate === "08P01" && error.severity === "FATAL";
}

/** Of a StartupMessage of another major version nothing but the version is read. */
function isOfAnotherProtocol(value: unknown): boolean {
  const { protocolVersion } = value as { protocolVersion?: { major: number } };
  return protocolVersion !== undefined && protocolVersion.major !== 3;
}

function kindOf(value: unknown): string {
  return (value as { kind: string }).kind;
}

function valueOf(message: AnyMessage): fc.Arbitrary<unknown> {
  return arbitraries[message.name] ?? fc.constant({ kind: "none" });
}

function goldenOf(message: AnyMessage) {
  return goldenBytes[message.name] ?? [];
}
