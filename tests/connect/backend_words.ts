import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import type { Credentials } from "../../lib/connect/login.ts";
import type { Startup } from "../../lib/connect/log_in.ts";
import { deriveScramKeys, randomBytes } from "../../lib/connect/questions.ts";
import { scramKeys } from "../../lib/connect/scram_keys.ts";
import { Secret } from "../../lib/secret.ts";
import { type Authentication, authentication } from "../../lib/wire/authentication.ts";
import { backendKeyData, parameterStatus, readyForQuery } from "../../lib/wire/backend.ts";
import { type ErrorFields, errorResponse, noticeResponse } from "../../lib/wire/error_response.ts";
import { passwordMessage, saslInitialResponse, saslResponse } from "../../lib/wire/frontend.ts";
import { encodeMessage } from "../../lib/wire/message.ts";
import { startupPacket } from "../../lib/wire/startup_packet.ts";
import { answers, hears, says, type Step } from "../support/play.ts";

/** What most tests here log in with: role app, password pencil, over TLS to a certificate that can be bound to. */
export const CREDENTIALS: Credentials = {
  backend: "orders",
  user: "app",
  password: new Secret("pencil"),
  requireAuth: ["scram-sha-256-plus", "scram-sha-256"],
  channelBinding: "prefer",
  certificateHash: new Uint8Array(32).fill(0xcc),
  isEncrypted: true,
  isVerified: true,
  isLocal: false,
  hasClientCertificate: false,
};

/** Every way to log in that takes no client's token. */
export const ANY_AUTH: Credentials["requireAuth"] = [
  "scram-sha-256-plus",
  "scram-sha-256",
  "md5",
  "password",
  "cert",
  "none",
];

/** The StartupMessage of most tests here. */
export const STARTUP: Startup = {
  protocolVersion: { major: 3, minor: 2 },
  parameters: new Map([["user", "app"], ["database", "orders"]]),
};

export const hearsStartup: Step = hears(encodeMessage(startupPacket, { kind: "StartupMessage", ...STARTUP }));

/** Several messages in one segment. */
export function saysAll(...messages: readonly Uint8Array[]): Step {
  return says(Uint8Array.from(messages.flatMap((message) => [...message])));
}

export function auth(message: Authentication): Uint8Array {
  return encodeMessage(authentication, message);
}

export function sasl(...mechanisms: readonly string[]): Uint8Array {
  return auth({ kind: "AuthenticationSASL", mechanisms });
}

export function saslContinue(data: string): Uint8Array {
  return auth({ kind: "AuthenticationSASLContinue", data: utf8(data) });
}

export function saslFinal(data: string): Uint8Array {
  return auth({ kind: "AuthenticationSASLFinal", data: utf8(data) });
}

export const ok = auth({ kind: "AuthenticationOk" });

export const ready = encodeMessage(readyForQuery, { kind: "ReadyForQuery", transactionStatus: "I" });

export function status(name: string, value: string): Uint8Array<ArrayBuffer> {
  return encodeMessage(parameterStatus, { kind: "ParameterStatus", name, value });
}

export function notice(message: string): Uint8Array<ArrayBuffer> {
  return encodeMessage(noticeResponse, { kind: "NoticeResponse", sqlstate: "00000", message });
}

export function error(fields: ErrorFields): Uint8Array {
  return encodeMessage(errorResponse, { kind: "ErrorResponse", ...fields });
}

export function key(processId: number, secretKey: Uint8Array): Uint8Array {
  return encodeMessage(backendKeyData, { kind: "BackendKeyData", processId, secretKey });
}

export function hearsPassword(password: string): Step {
  return hears(encodeMessage(passwordMessage, { kind: "PasswordMessage", password }));
}

export function hearsSaslInitial(mechanism: string, data: string): Step {
  return hears(
    encodeMessage(saslInitialResponse, { kind: "SASLInitialResponse", mechanism, data: utf8(data) }),
  );
}

export function hearsSasl(data: string): Step {
  return hears(encodeMessage(saslResponse, { kind: "SASLResponse", data: utf8(data) }));
}

/** The nonce that {@link answersNonce} makes the client use: 18 zero bytes in base64. */
export const CLIENT_NONCE = "AAAAAAAAAAAAAAAAAAAAAAAA";
export const answersNonce = answers(randomBytes, (length) => new Uint8Array(length));

const SALT = "c2FsdHNhbHRzYWx0c2FsdA=="; // saltsaltsaltsalt

/** The other side of SCRAM, computed the server's way. */
export interface ScramServer {
  readonly serverFirst: string;
  readonly clientFinal: string;
  readonly serverFinal: string;
}

/** What an honest backend and an honest client say in SCRAM with {@link CLIENT_NONCE} and the password pencil. */
export function scramServer(gs2Header: string, bindingData: Uint8Array): ScramServer {
  const nonce = `${CLIENT_NONCE}server-part`;
  const serverFirst = `r=${nonce},s=${SALT},i=4096`;
  const binding = Buffer.concat([Buffer.from(gs2Header), bindingData]).toString("base64");
  const withoutProof = `c=${binding},r=${nonce}`;
  const authMessage = `n=,r=${CLIENT_NONCE},${serverFirst},${withoutProof}`;
  const salted = pbkdf2Sync("pencil", Buffer.from(SALT, "base64"), 4096, 32, "sha256");
  const mac = (key: Uint8Array, text: string) => createHmac("sha256", key).update(text).digest();
  const clientKey = mac(salted, "Client Key");
  const signature = mac(createHash("sha256").update(clientKey).digest(), authMessage);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ signature[index])).toString("base64");
  const verifier = mac(mac(salted, "Server Key"), authMessage).toString("base64");
  return { serverFirst, clientFinal: `${withoutProof},p=${proof}`, serverFinal: `v=${verifier}` };
}

/** Answers deriveScramKeys as WebCrypto would, at once. */
export const answersScramKeys = answers(
  deriveScramKeys,
  ({ password, salt, iterations }) =>
    scramKeys(pbkdf2Sync(password.reveal(), salt, iterations, 32, "sha256")),
);

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
