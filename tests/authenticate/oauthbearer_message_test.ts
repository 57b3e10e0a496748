import assert from "node:assert/strict";
import fc from "fast-check";
import { type BearerResponse, parseBearerResponse } from "../../lib/authenticate/oauthbearer_message.ts";
import { PgError } from "../../lib/errors.ts";
import { text } from "../support/raw_messages.ts";
import { bearer, DISCOVERY } from "./bearer_words.ts";

/** What it is read as, or the code it is refused by; nothing else may come of it. */
function verdictOf(data: Uint8Array): BearerResponse["kind"] | string {
  try {
    return parseBearerResponse(data).kind;
  } catch (error) {
    assert(error instanceof PgError, Deno.inspect(error));
    return error.sqlstate;
  }
}

Deno.test.each([
  bearer("abc.def-._~+/=="),
  DISCOVERY,
  "y,,\x01host=db\x01port=5432\x01auth=Basic x\x01\x01",
])("parseBearerResponse() refuses every beginning of %j", (message) => {
  const whole = text(message);
  for (let length = 0; length < whole.length; length++) {
    assert.equal(verdictOf(whole.subarray(0, length)), "08P01", `${length} of ${whole.length} bytes`);
  }
});

Deno.test("parseBearerResponse() reads any bytes as a response, or refuses them", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "n",
      "y",
      "p=",
      ",",
      ",,",
      "n,,\x01",
      "\x01",
      "auth=",
      "Bearer ",
      "a=",
      "host=x",
      "=",
      "\0",
      "é",
    ),
    fc.string({ maxLength: 3 }),
  );
  const speech = fc.array(piece, { maxLength: 10 }).map((pieces) => text(pieces.join("")));
  const possible = ["token", "discovery", "malformed token", "08P01", "0A000"];
  fc.assert(
    fc.property(fc.oneof(speech, fc.uint8Array({ maxLength: 60 })), (data) => {
      assert(possible.includes(verdictOf(data)));
    }),
    { numRuns: 5000 },
  );
});

Deno.test("parseBearerResponse() reads bytes that are a part of something larger", () => {
  const around = text(`xx${bearer("abc")}xx`);
  const response = parseBearerResponse(around.subarray(2, -2));
  assert.equal(response.kind === "token" && response.token.reveal(), "abc");
});

Deno.test("T17 parseBearerResponse() wraps the token", () => {
  assert.doesNotMatch(Deno.inspect(parseBearerResponse(text(bearer("hunter2")))), /hunter2/);
});

Deno.test("T17 parseBearerResponse() puts no more than one character of a message into its errors", () => {
  const secret = "hunter2hunter2";
  for (
    const message of [
      secret,
      `n${secret}`,
      `n,${secret}`,
      `n,,${secret}`,
      `n,,\x01${secret}`,
      `n,,\x01${secret}\x01`,
    ]
  ) {
    assert.throws(() => parseBearerResponse(text(message)), (error) => {
      assert(error instanceof PgError);
      assert.doesNotMatch(Deno.inspect(error), /hunter/);
      return true;
    });
  }
});
