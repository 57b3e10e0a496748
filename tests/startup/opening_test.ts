import assert from "node:assert/strict";
import { acceptTls, openConversation } from "../../lib/startup/opening.ts";
import { PgError } from "../../lib/errors.ts";
import { negotiateProtocolVersion } from "../../lib/wire/backend.ts";
import { encodeMessage } from "../../lib/wire/message.ts";
import { type StartupPacket, startupPacket } from "../../lib/wire/startup_packet.ts";
import { answers, hears, play, says, type Step } from "../support/play.ts";

const SECURE = { offersTls: true, allowsPlaintext: false };
const PLAINTEXT = { offersTls: false, allowsPlaintext: true };

const sslRequest = packet({ kind: "SSLRequest" });
const gssEncRequest = packet({ kind: "GSSENCRequest" });
const startupMessage = startup({ minor: 0 });
const S = new Uint8Array([0x53]);
const N = new Uint8Array([0x4e]);
const upgraded = answers(acceptTls, () => {});

Deno.test("openConversation() goes on inside TLS after SSLRequest", () => {
  const opening = play(openConversation(SECURE), [
    says(sslRequest),
    hears(S),
    upgraded,
    says(startupMessage),
  ]);
  assert.equal(opening.kind, "session");
  assert.equal(opening.kind === "session" && opening.isEncrypted, true);
});

Deno.test("openConversation() accepts direct TLS by its first byte", () => {
  // Play has no TLS: the ClientHello's first byte stays in front, as a socket would keep it for the TLS engine.
  const dialogue = openConversation(SECURE);
  dialogue.next();
  const ask = dialogue.next(0x16).value as { ask: string; input: unknown };
  assert.deepEqual([ask.ask, ask.input], ["question", { isDirect: true }]);
});

Deno.test("A8 openConversation() answers GSSENCRequest with N, then takes SSLRequest", () => {
  const opening = play(openConversation(SECURE), [
    says(gssEncRequest),
    hears(N),
    says(sslRequest),
    hears(S),
    upgraded,
    says(startupMessage),
  ]);
  assert.equal(opening.kind, "session");
});

Deno.test("openConversation() closes on silence without a word", () => {
  assert.deepEqual(play(openConversation(SECURE), []), { kind: "silence" });
});

Deno.test("openConversation() answers SSLRequest with N when it has no certificate", () => {
  const opening = play(openConversation(PLAINTEXT), [says(sslRequest), hears(N), says(startupMessage)]);
  assert.equal(opening.kind === "session" && opening.isEncrypted, false);
});

Deno.test("openConversation() hands on a CancelRequest, plain and inside TLS", () => {
  const request: StartupPacket = {
    kind: "CancelRequest",
    processId: 7,
    secretKey: new Uint8Array(32).fill(9),
  };
  const plain = play(openConversation(SECURE), [says(packet(request))]);
  const inTls = play(openConversation(SECURE), [says(sslRequest), hears(S), upgraded, says(packet(request))]);
  for (const opening of [plain, inTls]) assert.deepEqual(opening, { kind: "cancel", request });
});

Deno.test("W3 A4 a plain StartupMessage is refused before anything is asked", () => {
  refuses("28000", [says(startupMessage)]);
});

Deno.test.each<[string, Step[]]>([
  ["W1 bytes behind SSLRequest", [says(join(sslRequest, startupMessage))]],
  ["W1 one byte behind SSLRequest", [says(join(sslRequest, new Uint8Array(1)))]],
  ["W1 bytes behind GSSENCRequest", [says(join(gssEncRequest, startupMessage))]],
  ["W6 SSLRequest twice", [says(sslRequest), hears(S), upgraded, says(sslRequest)]],
  ["W6 GSSENCRequest inside TLS", [says(sslRequest), hears(S), upgraded, says(gssEncRequest)]],
  ["W6 GSSENCRequest twice", [says(gssEncRequest), hears(N), says(gssEncRequest)]],
  ["W8 length 0", [says(bytes(0, 0, 0, 0))]],
  ["W8 length 3", [says(bytes(0, 0, 0, 3))]],
  ["W8 length 7", [says(bytes(0, 0, 0, 7, 0, 3, 0))]],
  ["W8 length -1", [says(bytes(0xff, 0xff, 0xff, 0xff))]],
  ["W8 length 2^31", [says(bytes(0x80, 0, 0, 0))]],
  ["W8 length over 10000", [says(bytes(0, 0, 0x27, 0x11))]],
  ["W8 GET / HTTP/1.1", [says(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"))]],
])("%s is refused with 08P01", (_name, script) => refuses("08P01", script));

Deno.test("W6 endless alternation without TLS ends at the second SSLRequest", () => {
  const script = [says(sslRequest), hears(N), says(gssEncRequest), hears(N), says(sslRequest)];
  assert.throws(() => play(openConversation(PLAINTEXT), script), { sqlstate: "08P01" });
});

Deno.test.each<[number, number]>([[0, 0], [1, 1], [2, 2]])(
  "openConversation() speaks 3.%i as asked",
  (minor, spoken) => {
    const opening = play(openConversation(PLAINTEXT), [says(startup({ minor }))]);
    assert.equal(opening.kind === "session" && opening.protocolVersion.minor, spoken);
  },
);

Deno.test("openConversation() negotiates a newer minor version down to 3.2", () => {
  const opening = play(openConversation(PLAINTEXT), [
    says(startup({ minor: 9999 })),
    hears(negotiated(2, [])),
  ]);
  assert.equal(opening.kind === "session" && opening.protocolVersion.minor, 2);
});

Deno.test("W11 _pq_. options are named as not recognized", () => {
  play(openConversation(PLAINTEXT), [
    says(startup({ minor: 0, parameters: { user: "a", "_pq_.x": "1", "_pq_.y": "2" } })),
    hears(negotiated(0, ["_pq_.x", "_pq_.y"])),
  ]);
});

Deno.test("openConversation() refuses protocol 2 with 0A000", () => {
  const script = [
    says(packet({ kind: "StartupMessage", protocolVersion: { major: 2, minor: 0 }, parameters: new Map() })),
  ];
  assert.throws(() => play(openConversation(PLAINTEXT), script), { sqlstate: "0A000" });
});

function refuses(sqlstate: string, script: Step[]): void {
  assert.throws(
    () => play(openConversation(SECURE), script),
    (error) => error instanceof PgError && error.sqlstate === sqlstate && error.severity === "FATAL",
  );
}

function packet(value: StartupPacket): Uint8Array {
  return encodeMessage(startupPacket, value);
}

function startup(
  { minor, parameters = { user: "alice" } }: { minor: number; parameters?: Record<string, string> },
): Uint8Array {
  return packet({
    kind: "StartupMessage",
    protocolVersion: { major: 3, minor },
    parameters: new Map(Object.entries(parameters)),
  });
}

function negotiated(minorVersion: number, unrecognizedOptions: string[]): Uint8Array {
  return encodeMessage(negotiateProtocolVersion, {
    kind: "NegotiateProtocolVersion",
    minorVersion,
    unrecognizedOptions,
  });
}

function bytes(...values: number[]): Uint8Array {
  return new Uint8Array(values);
}

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}
