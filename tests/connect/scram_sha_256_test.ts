import assert from "node:assert/strict";
import type { Credentials } from "../../lib/connect/login.ts";
import { logIn } from "../../lib/connect/log_in.ts";
import { saltedPassword } from "../../lib/connect/salted_password.ts";
import { clientProof, scramKeys, serverSignature } from "../../lib/connect/scram_keys.ts";
import { PgError } from "../../lib/errors.ts";
import { Secret } from "../../lib/secret.ts";
import { play, type Step } from "../support/play.ts";
import {
  answersNonce,
  answersScramKeys,
  CLIENT_NONCE,
  CREDENTIALS,
  hearsSasl,
  hearsSaslInitial,
  hearsStartup,
  ok,
  ready,
  sasl,
  saslContinue,
  saslFinal,
  saysAll,
  scramServer,
  STARTUP,
} from "./backend_words.ts";

const BOTH = sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256");
const PLAIN = sasl("SCRAM-SHA-256");
const NOT_BOUND = new Uint8Array();
const CHALLENGE = `r=${CLIENT_NONCE}server-part,s=c2FsdA==,i=4096`;

Deno.test("SCRAM computes what RFC 7677 section 3 says", async () => {
  const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const authMessage = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
    `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,` +
    `c=biws,r=${nonce}`;
  const keys = scramKeys(
    await saltedPassword({
      password: new Secret("pencil"),
      salt: Uint8Array.fromBase64("W22ZaJ0SNY7soEsUEjb6gQ=="),
      iterations: 4096,
    }),
  );
  const proof = clientProof(keys, authMessage).toBase64();
  const signature = serverSignature(keys, authMessage).toBase64();
  assert.equal(proof, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  assert.equal(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
});

Deno.test("logIn() binds SCRAM to the certificate when PLUS is offered", () => {
  const scram = scramServer("p=tls-server-end-point,,", CREDENTIALS.certificateHash!);
  const result = play(logIn(STARTUP, CREDENTIALS), [
    hearsStartup,
    saysAll(BOTH),
    ...exchange("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", scram),
  ]);
  assert.equal(result.transactionStatus, "I");
});

Deno.test.each<{ case: string; offered: Uint8Array; header: string; change: Partial<Credentials> }>([
  { case: "y where PLUS was not offered inside TLS", offered: PLAIN, header: "y,,", change: {} },
  {
    case: "n without TLS",
    offered: PLAIN,
    header: "n,,",
    change: { isEncrypted: false, certificateHash: undefined },
  },
  {
    case: "n where the certificate has no hash",
    offered: BOTH,
    header: "n,,",
    change: { certificateHash: undefined },
  },
  {
    case: "n where channel_binding is disable",
    offered: BOTH,
    header: "n,,",
    change: { channelBinding: "disable" },
  },
])("logIn() tells what it could bind: $case", ({ offered, header, change }) => {
  const result = play(logIn(STARTUP, { ...CREDENTIALS, ...change }), [
    hearsStartup,
    saysAll(offered),
    ...exchange("SCRAM-SHA-256", header, scramServer(header, NOT_BOUND)),
  ]);
  assert.equal(result.transactionStatus, "I");
});

Deno.test.each<{ case: string; offered: Uint8Array; change: Partial<Credentials>; reason: RegExp }>([
  {
    case: "channel_binding is require and PLUS is not offered",
    offered: PLAIN,
    change: { channelBinding: "require" },
    reason: /did not offer SCRAM-SHA-256-PLUS/,
  },
  {
    case: "require_auth is scram-sha-256-plus and PLUS is not offered",
    offered: PLAIN,
    change: { requireAuth: ["scram-sha-256-plus"] },
    reason: /did not offer SCRAM-SHA-256-PLUS/,
  },
  {
    case: "channel_binding is require and the certificate has no hash",
    offered: BOTH,
    change: { channelBinding: "require", certificateHash: undefined },
    reason: /certificate cannot be bound to/,
  },
  {
    case: "PLUS is offered without TLS",
    offered: BOTH,
    change: { isEncrypted: false, certificateHash: undefined },
    reason: /PLUS without TLS/,
  },
  {
    case: "no SCRAM is offered",
    offered: sasl("SCRAM-SHA-1", "GS2-KRB5"),
    change: {},
    reason: /SASL by no mechanism that is spoken here/,
  },
  { case: "nothing is offered", offered: sasl(), change: {}, reason: /SASL by no mechanism that is spoken/ },
  {
    case: "require_auth has no SCRAM",
    offered: BOTH,
    change: { requireAuth: ["md5"] },
    reason: /require_auth does not allow/,
  },
])("B3 nothing is sent when $case", ({ offered, change, reason }) => {
  const thrown = refusal(logIn(STARTUP, { ...CREDENTIALS, ...change }), [hearsStartup, saysAll(offered)]);
  assert.equal(thrown.sqlstate, "08001");
  assert.match(thrown.reason!, reason);
});

Deno.test.each([
  { case: "2^31 iterations", challenge: CHALLENGE.replace("4096", "2147483648"), reason: /iterations/ },
  { case: "1000001 iterations", challenge: CHALLENGE.replace("4096", "1000001"), reason: /iterations/ },
  { case: "4095 iterations", challenge: CHALLENGE.replace("4096", "4095"), reason: /iterations/ },
  { case: "1 iteration", challenge: CHALLENGE.replace("4096", "1"), reason: /iterations/ },
  { case: "no iterations", challenge: CHALLENGE.replace("4096", ""), reason: /malformed/ },
  { case: "negative iterations", challenge: CHALLENGE.replace("4096", "-4096"), reason: /malformed/ },
])("B1 SCRAM with $case is refused before anything is derived", ({ challenge, reason }) => {
  const thrown = afterChallenge(challenge);
  assert.equal(thrown.sqlstate, "08P01");
  assert.match(thrown.reason!, reason);
});

Deno.test.each([
  { case: "a nonce that is not ours", challenge: "r=other,s=c2FsdA==,i=4096", reason: /begin with ours/ },
  { case: "our nonce alone", challenge: `r=${CLIENT_NONCE},s=c2FsdA==,i=4096`, reason: /adds nothing/ },
  {
    case: "a huge nonce",
    challenge: `r=${CLIENT_NONCE}${"x".repeat(1000)},s=c2FsdA==,i=4096`,
    reason: /too long/,
  },
  { case: "an empty salt", challenge: CHALLENGE.replace("c2FsdA==", ""), reason: /salt/ },
  { case: "a salt that is no base64", challenge: CHALLENGE.replace("c2FsdA==", "c2F*"), reason: /salt/ },
  { case: "a salt with white space", challenge: CHALLENGE.replace("c2FsdA==", "c2Fs dA=="), reason: /salt/ },
  { case: "a salt without padding", challenge: CHALLENGE.replace("c2FsdA==", "c2FsdA"), reason: /salt/ },
  { case: "a huge salt", challenge: CHALLENGE.replace("c2FsdA==", "AAAA".repeat(100)), reason: /salt/ },
  { case: "a mandatory extension", challenge: `m=x,${CHALLENGE}`, reason: /malformed/ },
  { case: "an extension behind", challenge: `${CHALLENGE},x=y`, reason: /malformed/ },
  { case: "another order", challenge: `s=c2FsdA==,r=${CLIENT_NONCE}x,i=4096`, reason: /malformed/ },
  {
    case: "an unprintable nonce",
    challenge: `r=${CLIENT_NONCE}\u00e9,s=c2FsdA==,i=4096`,
    reason: /malformed/,
  },
  { case: "nothing", challenge: "", reason: /malformed/ },
])("B2 a SCRAM challenge with $case is refused", ({ challenge, reason }) => {
  const thrown = afterChallenge(challenge);
  assert.equal(thrown.sqlstate, "08P01");
  assert.match(thrown.reason!, reason);
});

Deno.test.each([
  {
    case: "a wrong server signature",
    final: saslFinal(`v=${btoa("x".repeat(32))}`),
    reason: /signature is wrong/,
  },
  { case: "a short server signature", final: saslFinal("v=AAAA"), reason: /signature is wrong/ },
  { case: "no server signature", final: saslFinal(""), reason: /missing or malformed/ },
  { case: "AuthenticationOk before SASLFinal", final: ok, reason: /AuthenticationOk where/ },
  { case: "a second challenge", final: saslContinue(CHALLENGE), reason: /AuthenticationSASLContinue where/ },
  {
    case: "something behind the signature",
    final: saslFinal(`${scramServer("y,,", NOT_BOUND).serverFinal},x=y`),
    reason: /missing or malformed/,
  },
])("B2 SCRAM that ends with $case is refused", ({ final, reason }) => {
  const scram = scramServer("y,,", NOT_BOUND);
  const thrown = refusal(logIn(STARTUP, CREDENTIALS), [
    hearsStartup,
    saysAll(PLAIN),
    ...exchange("SCRAM-SHA-256", "y,,", scram).slice(0, 5),
    saysAll(final),
  ]);
  assert.equal(thrown.sqlstate, "08P01");
  assert.match(thrown.reason!, reason);
});

Deno.test("SCRAM that ends with e= is the backend's refusal", () => {
  const thrown = refusal(logIn(STARTUP, CREDENTIALS), [
    hearsStartup,
    saysAll(PLAIN),
    ...exchange("SCRAM-SHA-256", "y,,", scramServer("y,,", NOT_BOUND)).slice(0, 5),
    saysAll(saslFinal("e=invalid-proof")),
  ]);
  assert.equal(thrown.sqlstate, "28P01");
  assert.equal(thrown.message, 'backend "orders" refused the proxy\'s login');
  assert.match(thrown.reason!, /invalid-proof/);
});

Deno.test("SCRAM without a password configured is the operator's mistake", () => {
  const credentials = { ...CREDENTIALS, password: undefined };
  const thrown = refusal(logIn(STARTUP, credentials), [hearsStartup, saysAll(PLAIN)]);
  assert.equal(thrown.blame, "operator");
  assert.match(thrown.reason!, /none is configured/);
});

/** Everything from the choice of the mechanism to ReadyForQuery, in 7 steps. */
function exchange(mechanism: string, header: string, scram: ReturnType<typeof scramServer>): Step[] {
  return [
    answersNonce,
    hearsSaslInitial(mechanism, `${header}n=,r=${CLIENT_NONCE}`),
    saysAll(saslContinue(scram.serverFirst)),
    answersScramKeys,
    hearsSasl(scram.clientFinal),
    saysAll(saslFinal(scram.serverFinal), ok),
    saysAll(ready),
  ];
}

function afterChallenge(challenge: string): PgError {
  return refusal(logIn(STARTUP, CREDENTIALS), [
    hearsStartup,
    saysAll(PLAIN),
    answersNonce,
    hearsSaslInitial("SCRAM-SHA-256", `y,,n=,r=${CLIENT_NONCE}`),
    saysAll(saslContinue(challenge)),
  ]);
}

function refusal(dialogue: ReturnType<typeof logIn>, script: readonly Step[]): PgError {
  try {
    play(dialogue, script);
  } catch (thrown) {
    if (thrown instanceof PgError) return thrown;
    throw thrown;
  }
  throw new assert.AssertionError({ message: "the login was not refused" });
}
