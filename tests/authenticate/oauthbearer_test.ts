import assert from "node:assert/strict";
import fc from "fast-check";
import type { Verdict } from "../../lib/authenticate/methods.ts";
import {
  DiscoveryAnswered,
  mayDiscover,
  oauthbearer,
  presentedNoToken,
} from "../../lib/authenticate/oauthbearer.ts";
import { question } from "../../lib/dialogue.ts";
import { PgError } from "../../lib/errors.ts";
import type { Secret } from "../../lib/secret.ts";
import { answers, hears, play, says, type Step } from "../support/play.ts";
import { concat, int32, saslInitialResponse, saslResponse, text, typed } from "../support/raw_messages.ts";
import { bearer, challenged, DISCOVERY, EMPTY_CHALLENGE, HEARD, initial, OFFER } from "./bearer_words.ts";

const judge = question<Secret, Verdict<string>>("judge");

const CHALLENGED = challenged("https://login.example.com/.well-known/openid-configuration", "openid pg");
const FAILED = 'OAuth bearer authentication failed for user "alice"';

/** The judge is asked about this token, and lets its bearer in. */
const accepts = (token: string) =>
  answers(judge, (secret): Verdict<string> => {
    assert.equal(secret.reveal(), token);
    return { kind: "accepted", who: "alice of corp" };
  });

const refuses = (reason: string, blame: "frontend" | "issuer") =>
  answers(judge, (): Verdict<string> => ({ kind: "refused", reason, blame }));

const letsAsk = answers(mayDiscover, () => {});
const isTold = answers(presentedNoToken, () => {});

function converse(...script: Step[]): string {
  const challenge = { issuer: "https://login.example.com", scope: "openid pg" };
  return play(oauthbearer(judge, { user: "alice", challenge }), [hears(OFFER), ...script]);
}

/** What the conversation fails with, which must be what a client can be told. */
function failureOf(...script: Step[]): PgError {
  try {
    converse(...script);
  } catch (error) {
    assert(error instanceof PgError, Deno.inspect(error));
    assert.equal(error.severity, "FATAL");
    return error;
  }
  throw new Error("it did not fail");
}

Deno.test("oauthbearer() lets in the bearer of a good token, and says nothing more", () => {
  assert.equal(converse(says(initial(bearer("abc.def"))), accepts("abc.def")), "alice of corp");
});

Deno.test("oauthbearer() asks a client without an initial response for it", () => {
  const who = converse(
    says(saslInitialResponse("OAUTHBEARER", null)),
    hears(EMPTY_CHALLENGE),
    says(saslResponse(text(bearer("abc")))),
    accepts("abc"),
  );
  assert.equal(who, "alice of corp");
});

Deno.test("oauthbearer() tells a client that asks where its token comes from", () => {
  const error = failureOf(says(initial(DISCOVERY)), letsAsk, hears(CHALLENGED), says(HEARD));
  assert(error instanceof DiscoveryAnswered);
  assert.equal(error.sqlstate, "28000");
  assert.equal(error.message, FAILED);
  assert.equal(error.reason, undefined);
});

Deno.test("oauthbearer() tells nothing to a client that has asked too often", () => {
  const tooOften = () => {
    throw new PgError("53300", "too many");
  };
  assert.equal(failureOf(says(initial(DISCOVERY)), answers(mayDiscover, tooOften)).sqlstate, "53300");
});

Deno.test.each<["frontend" | "issuer"]>([["frontend"], ["issuer"]])(
  "T16 oauthbearer() refuses a token that is no good like any other, whoever is to blame: the %s",
  (blame) => {
    const script = [says(initial(bearer("abc"))), refuses("signature: wrong", blame), hears(CHALLENGED)];
    const error = failureOf(...script, says(HEARD));
    assert(!(error instanceof DiscoveryAnswered));
    const { sqlstate, message, detail, hint, reason } = error;
    assert.deepEqual({ sqlstate, message, detail, hint, reason, blame: error.blame }, {
      sqlstate: "28000",
      message: FAILED,
      detail: undefined,
      hint: undefined,
      reason: "signature: wrong",
      blame,
    });
  },
);

Deno.test.each([
  ["a scheme in capitals", "BEARER abc", "abc"],
  ["a scheme in small letters", "bearer abc", "abc"],
  ["several spaces", "Bearer    abc", "abc"],
  ["padding", "Bearer abc==", "abc=="],
  ["every character there is", "Bearer azAZ09-._~+/=", "azAZ09-._~+/="],
])("oauthbearer() takes the token of credentials with %s", (_name, credentials, token) => {
  converse(says(initial(`n,,\x01auth=${credentials}\x01\x01`)), accepts(token));
});

Deno.test.each([
  ["the flag y", "y,,\x01auth=Bearer abc\x01\x01"],
  ["host and port", "n,,\x01host=db.example.com\x01port=5432\x01auth=Bearer abc\x01\x01"],
  ["keys nobody knows, one of them twice", "n,,\x01x=1\x01auth=Bearer abc\x01x=\x01Auth=no\x01\x01"],
  ["a value with =, tab and line ends", "n,,\x01x==a=\t\r\n ~!\x01auth=Bearer abc\x01\x01"],
])("oauthbearer() takes a message with %s", (_name, message) => {
  converse(says(initial(message)), accepts("abc"));
});

Deno.test.each([
  ["another scheme", "Basic YWxpY2U6aHVudGVyMg==", "the client's authentication scheme is not Bearer"],
  ["no space behind the scheme", "Bearer", "the client's authentication scheme is not Bearer"],
  ["a tab behind the scheme", "Bearer\tabc", "the client's authentication scheme is not Bearer"],
  ["a space before the scheme", " Bearer abc", "the client's authentication scheme is not Bearer"],
  ["an empty token", "Bearer ", "the bearer token is empty"],
  ["nothing but spaces", "Bearer    ", "the bearer token is empty"],
  ["a space in the token", "Bearer hunter2 hunter2", "the bearer token has characters that none may have"],
  ["a space behind the token", "Bearer hunter2 ", "the bearer token has characters that none may have"],
  ["a line end behind the token", "Bearer hunter2\n", "the bearer token has characters that none may have"],
  ["padding in the middle", "Bearer hun=ter2", "the bearer token has characters that none may have"],
  ["padding alone", "Bearer ==", "the bearer token has characters that none may have"],
  ["a comma", "Bearer hunter2,", "the bearer token has characters that none may have"],
])("T17 oauthbearer() shows no judge and no log a token with %s", (_name, credentials, reason) => {
  const message = `n,,\x01auth=${credentials}\x01\x01`;
  const error = failureOf(says(initial(message)), isTold, hears(CHALLENGED), says(HEARD));
  assert(!(error instanceof DiscoveryAnswered));
  assert.equal(error.sqlstate, "28000");
  assert.equal(error.message, FAILED);
  assert.equal(error.reason, reason);
  assert.equal(error.blame, "frontend");
  assert.doesNotMatch(Deno.inspect(error), /hunter2|YWxp/);
});

const COMMA = (found: string) => `Comma expected, but found character "${found}".`;
const SEPARATOR = (found: string) => `Key-value separator expected, but found character "${found}".`;
const ATTRIBUTE = (found: string) => `Unexpected attribute "${found}" in client-first-message.`;
const FLAG = (found: string) => `Unexpected channel-binding flag "${found}".`;
const UNTERMINATED = "Message contains an unterminated key/value pair.";
const NOT_ENDED = "Message did not contain a final terminator.";
const NUL = "Message length does not match input length.";

const MALFORMED: readonly [string, string | Uint8Array, string][] = [
  ["nothing", "", "The message is empty."],
  ["a zero byte alone", "\0", NUL],
  ["a zero byte in the token", "n,,\x01auth=Bearer a\0b\x01\x01", NUL],
  ["a zero byte behind it all", `${bearer("abc")}\0`, NUL],
  [
    "channel binding",
    "p=tls-exporter,,\x01auth=\x01\x01",
    "The server does not support channel binding for OAuth, but the client message includes channel binding data.",
  ],
  ["an unknown flag", "x,,\x01auth=\x01\x01", FLAG("'x'")],
  ["a flag in capitals", "N,,\x01auth=\x01\x01", FLAG("'N'")],
  ["a flag that cannot be printed", "\x01", FLAG("0x01")],
  ["a flag beyond ASCII", Uint8Array.of(0x9f), FLAG("0x9f")],
  ["a space for a flag", " ", FLAG("0x20")],
  ["the flag alone", "n", COMMA("0x00")],
  ["no comma", "n;,\x01", COMMA("';'")],
  ["one comma", "n,", ATTRIBUTE("0x00")],
  ["another attribute", "n,b=c,\x01", ATTRIBUTE("'b'")],
  ["the header alone", "n,,", SEPARATOR("0x00")],
  ["no separator", "n,,auth=\x01\x01", SEPARATOR("'a'")],
  ["no pairs", "n,,\x01", NOT_ENDED],
  ["an unterminated pair", "n,,\x01auth=Bearer abc", UNTERMINATED],
  ["an unterminated second pair", "n,,\x01auth=Bearer abc\x01host=x", UNTERMINATED],
  ["no final terminator", "n,,\x01auth=Bearer abc\x01", NOT_ENDED],
  ["a key alone", "n,,\x01auth\x01\x01", "Message contains a key without a value."],
  ["an empty key", "n,,\x01=abc\x01\x01", "Message contains an empty key name."],
  ["a digit in a key", "n,,\x01auth1=abc\x01\x01", "Message contains an invalid key name."],
  ["a space in a key", "n,,\x01auth =abc\x01\x01", "Message contains an invalid key name."],
  ["a line end in a key", "n,,\x01auth\n=abc\x01\x01", "Message contains an invalid key name."],
  ["a control character in a value", "n,,\x01x=a\x02\x01\x01", "Message contains an invalid value."],
  ["DEL in a value", "n,,\x01auth=Bearer a\x7f\x01\x01", "Message contains an invalid value."],
  ["UTF-8 in a value", "n,,\x01host=dbü\x01auth=Bearer a\x01\x01", "Message contains an invalid value."],
  ["auth twice", "n,,\x01auth=\x01auth=Bearer a\x01\x01", "Message contains multiple auth values."],
  ["no auth", "n,,\x01\x01", "Message does not contain an auth value."],
  ["only other keys", "n,,\x01host=x\x01Auth=a\x01\x01", "Message does not contain an auth value."],
  [
    "data after the final terminator",
    `${bearer("abc")}x`,
    "Message contains additional data after the final terminator.",
  ],
  [
    "a third terminator",
    `${bearer("abc")}\x01`,
    "Message contains additional data after the final terminator.",
  ],
];

Deno.test.each(MALFORMED)("oauthbearer() refuses a message of %s", (_name, message, detail) => {
  const error = failureOf(says(initial(message)));
  const { sqlstate, detail: told } = error;
  assert.deepEqual({ sqlstate, message: error.message, detail: told }, {
    sqlstate: "08P01",
    message: "malformed OAUTHBEARER message",
    detail,
  });
});

Deno.test("oauthbearer() holds a second message to the same rules as a first one", () => {
  const ask = [says(saslInitialResponse("OAUTHBEARER", null)), hears(EMPTY_CHALLENGE)];
  assert.equal(failureOf(...ask, says(saslResponse(text("")))).detail, "The message is empty.");
  assert.equal(failureOf(...ask, says(saslResponse(text("n,,\x01\x01")))).sqlstate, "08P01");
});

Deno.test.each(["n,a=bob,\x01auth=Bearer abc\x01\x01", "y,a=,\x01auth=\x01\x01", "n,a"])(
  "oauthbearer() lets nobody act for somebody else: %j",
  (message) => {
    const { sqlstate, message: told } = failureOf(says(initial(message)));
    assert.equal(sqlstate, "0A000");
    assert.equal(told, "client uses authorization identity, but it is not supported");
  },
);

Deno.test.each(["SCRAM-SHA-256", "oauthbearer", "OAUTHBEARER-PLUS", ""])(
  "oauthbearer() refuses the mechanism %j",
  (mechanism) => {
    const error = failureOf(says(saslInitialResponse(mechanism, text(bearer("abc")))));
    assert.equal(error.sqlstate, "08P01");
    assert.equal(error.message, "client selected an invalid SASL authentication mechanism");
  },
);

Deno.test.each<[string, Uint8Array]>([
  ["a message other than p", typed("Q", text("select 1\0"))],
  ["a length that declares too much", saslInitialResponse("OAUTHBEARER", text(DISCOVERY), 100)],
  ["a length that declares too little", saslInitialResponse("OAUTHBEARER", text(DISCOVERY), 3)],
  ["a length under -1", saslInitialResponse("OAUTHBEARER", null, -2)],
  ["data behind no initial response", saslInitialResponse("OAUTHBEARER", text("x"), -1)],
  ["a mechanism without its end", typed("p", text("OAUTHBEARER"))],
  ["no length at all", typed("p", text("OAUTHBEARER\0"))],
  ["W9 a length field under 4", concat(text("p"), int32(3))],
])("oauthbearer() refuses %s", (_name, bytes) => {
  assert.equal(failureOf(says(bytes)).sqlstate, "08P01");
});

const TOO_LONG = concat(text("p"), int32(65536));

Deno.test("oauthbearer() calls a message over 65535 bytes a failed login, as soon as it declares them", () => {
  const first = failureOf(says(TOO_LONG));
  assert.equal(first.sqlstate, "28000");
  assert.equal(first.message, FAILED);
  assert.equal(first.reason, "SASLInitialResponse is longer than the 65535 bytes allowed");
  const none = [says(saslInitialResponse("OAUTHBEARER", null)), hears(EMPTY_CHALLENGE)];
  assert.equal(failureOf(...none, says(TOO_LONG)).sqlstate, "28000");
});

Deno.test("T19 oauthbearer() takes the longest token that a message of 65535 bytes holds", () => {
  const token = "x".repeat(65535 - 4 - "OAUTHBEARER\0".length - 4 - bearer("").length);
  const message = initial(bearer(token));
  assert.equal(message.length, 1 + 65535);
  converse(says(message), accepts(token));
});

const REFUSED = [
  says(initial(bearer("abc"))),
  refuses("expired: since a day", "frontend"),
  hears(CHALLENGED),
];

Deno.test.each<[string, Uint8Array, string | undefined]>([
  ["nothing", saslResponse(text("")), "The message is empty."],
  ["a zero byte", saslResponse(text("\0")), NUL],
  ["a zero byte behind it", saslResponse(text("\x01\0")), NUL],
  ["it twice", saslResponse(text("\x01\x01")), "Client did not send a kvsep response."],
  ["another byte", saslResponse(text("\x02")), "Client did not send a kvsep response."],
  ["another token", saslResponse(text(bearer("def"))), "Client did not send a kvsep response."],
  ["another message", typed("X"), undefined],
])("oauthbearer() refuses an answer to its challenge that is %s, and the log says why there was one", (
  _name,
  answer,
  detail,
) => {
  const error = failureOf(...REFUSED, says(answer));
  assert.equal(error.sqlstate, "08P01");
  assert.equal(error.detail, detail);
  assert.equal(error.reason, "expired: since a day");
});

Deno.test("oauthbearer() calls a long answer to its challenge a failed login", () => {
  const { sqlstate, message, reason } = failureOf(...REFUSED, says(TOO_LONG));
  assert.deepEqual({ sqlstate, message, reason }, {
    sqlstate: "28000",
    message: FAILED,
    reason: "expired: since a day",
  });
});

/** What a login ends with that is ended by `error` while the answer to the challenge is awaited. */
function endedBy(error: PgError, message: string, verdict?: Verdict<string>): unknown {
  const challenge = { issuer: "https://login.example.com", scope: "pg" };
  const dialogue = oauthbearer(judge, { user: "alice", challenge });
  dialogue.next(); // sends AuthenticationSASL
  dialogue.next(); // awaits the initial response
  dialogue.next({ mechanism: "OAUTHBEARER", data: text(message) }); // asks about it
  dialogue.next(verdict); // sends the challenge
  dialogue.next(); // awaits the answer
  try {
    dialogue.throw(error);
  } catch (thrown) {
    return thrown;
  }
  throw new Error("it did not end");
}

const EXPIRED: Verdict<string> = { kind: "refused", reason: "expired", blame: "frontend" };

Deno.test("oauthbearer() has answered a client that leaves once it has heard, as pgx does", () => {
  const gone = new PgError("08006", "the connection was closed during login");
  assert(endedBy(gone, DISCOVERY) instanceof DiscoveryAnswered);
  const { sqlstate, reason } = endedBy(gone, bearer("abc"), EXPIRED) as PgError;
  assert.deepEqual({ sqlstate, reason }, { sqlstate: "28000", reason: "expired" });
});

Deno.test("oauthbearer() ends at its deadline, and the log says why the token was refused", () => {
  const late = new PgError("57014", "canceling authentication due to timeout");
  const { sqlstate, message, reason } = endedBy(late, bearer("abc"), EXPIRED) as PgError;
  assert.deepEqual({ sqlstate, message, reason }, {
    sqlstate: "57014",
    message: "canceling authentication due to timeout",
    reason: "expired",
  });
});

Deno.test("W16 oauthbearer() escapes the user in its refusal", () => {
  const about = {
    user: "a\nb\u202e",
    challenge: { issuer: "https://login.example.com", scope: "openid pg" },
  };
  const script = [hears(OFFER), says(initial(DISCOVERY)), letsAsk, hears(CHALLENGED), says(HEARD)];
  assert.throws(() => play(oauthbearer(judge, about), script), {
    message: 'OAuth bearer authentication failed for user "a\\nb\\u202e"',
  });
});

// RFC 7628 section 4 speaks of IMAP and SMTP, where a user is named by a=. PostgreSQL takes the startup message's alone.
Deno.test.each<[string, string, string]>([
  [
    "4.1 Successful Bearer Token Exchange",
    "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01",
    "0A000",
  ],
  [
    "4.2 Successful OAuth 1.0a Token Exchange",
    'n,a=user@example.com,\x01host=example.com\x01port=143\x01auth=OAuth realm="Example"\x01\x01',
    "0A000",
  ],
  [
    "4.3 Failed Exchange",
    "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01",
    "0A000",
  ],
])(
  "oauthbearer() refuses the message of RFC 7628, %s, for its authorization identity",
  (_name, message, code) => {
    assert.equal(failureOf(says(initial(message))).sqlstate, code);
  },
);

Deno.test("oauthbearer() lets in RFC 7628, 4.1 without its authorization identity", () => {
  const token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
  const message = `n,,\x01host=server.example.com\x01port=143\x01auth=Bearer ${token}\x01\x01`;
  converse(says(initial(message)), accepts(token));
});

Deno.test("oauthbearer() refuses RFC 7628, 4.2 without its authorization identity for its scheme", () => {
  const message = 'n,,\x01host=example.com\x01port=143\x01auth=OAuth realm="Example"\x01\x01';
  const { reason } = failureOf(says(initial(message)), isTold, hears(CHALLENGED), says(HEARD));
  assert.equal(reason, "the client's authentication scheme is not Bearer");
});

Deno.test("oauthbearer() answers RFC 7628, 4.3 without its authorization identity as a discovery", () => {
  const message = "n,,\x01host=server.example.com\x01port=143\x01auth=\x01\x01";
  assert(
    failureOf(says(initial(message)), letsAsk, hears(CHALLENGED), says(HEARD)) instanceof DiscoveryAnswered,
  );
});

Deno.test("oauthbearer() without a challenge is a bug of ours, and no token is lost by it", () => {
  const script = [hears(OFFER), says(initial(DISCOVERY)), letsAsk];
  assert.throws(() => play(oauthbearer(judge, { user: "alice" }), script), /has no challenge/);
});

Deno.test("oauthbearer() carries every token there can be to the judge, as it is", () => {
  const characters = [..."ABCXYZabcxyz0189-._~+/"];
  const token = fc.tuple(
    fc.string({ unit: fc.constantFrom(...characters), minLength: 1, maxLength: 200 }),
    fc.nat(3),
  ).map(([text, padding]) => text + "=".repeat(padding));
  fc.assert(fc.property(token, (token) => void converse(says(initial(bearer(token))), accepts(token))));
});
