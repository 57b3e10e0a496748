import { type Message, typeByte } from "./message.ts";
import type { Reader } from "./reader.ts";

/** AuthenticationOk (B): the login has succeeded. */
export interface AuthenticationOk {
  readonly kind: "AuthenticationOk";
}

/** AuthenticationCleartextPassword (B): send the password as it is. */
export interface AuthenticationCleartextPassword {
  readonly kind: "AuthenticationCleartextPassword";
}

/** AuthenticationMD5Password (B): send the password hashed with MD5 and this salt. */
export interface AuthenticationMd5Password {
  readonly kind: "AuthenticationMD5Password";
  /** Four bytes. */
  readonly salt: Uint8Array;
}

/** AuthenticationSASL (B): choose one of these mechanisms. */
export interface AuthenticationSasl {
  readonly kind: "AuthenticationSASL";
  readonly mechanisms: readonly string[];
}

/** AuthenticationSASLContinue (B): the mechanism's next challenge. */
export interface AuthenticationSaslContinue {
  readonly kind: "AuthenticationSASLContinue";
  readonly data: Uint8Array;
}

/** AuthenticationSASLFinal (B): the mechanism's last word, before AuthenticationOk. */
export interface AuthenticationSaslFinal {
  readonly kind: "AuthenticationSASLFinal";
  readonly data: Uint8Array;
}

/** AuthenticationGSS, SSPI and whatever else a server may ask that we do not speak (B). */
export interface AuthenticationUnsupported {
  readonly kind: "AuthenticationUnsupported";
  readonly code: number;
  readonly data: Uint8Array;
}

/** Any message of type `R`. */
export type Authentication =
  | AuthenticationOk
  | AuthenticationCleartextPassword
  | AuthenticationMd5Password
  | AuthenticationSasl
  | AuthenticationSaslContinue
  | AuthenticationSaslFinal
  | AuthenticationUnsupported;

/** libpq refuses an authentication request over this many bytes; no honest server sends one. */
const MAX_AUTHENTICATION_REQUEST_LENGTH = 2000;

const CODE = {
  ok: 0,
  cleartextPassword: 3,
  md5Password: 5,
  sasl: 10,
  saslContinue: 11,
  saslFinal: 12,
} as const;

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-AUTHENTICATIONOK */
export const authentication: Message<Authentication> = {
  name: "Authentication",
  type: typeByte("R"),
  maxLength: MAX_AUTHENTICATION_REQUEST_LENGTH,
  decode(reader) {
    const code = reader.int32();
    switch (code) {
      case CODE.ok:
        return { kind: "AuthenticationOk" };
      case CODE.cleartextPassword:
        return { kind: "AuthenticationCleartextPassword" };
      case CODE.md5Password:
        return { kind: "AuthenticationMD5Password", salt: reader.bytes(4) };
      case CODE.sasl:
        return { kind: "AuthenticationSASL", mechanisms: mechanismNames(reader) };
      case CODE.saslContinue:
        return { kind: "AuthenticationSASLContinue", data: reader.rest() };
      case CODE.saslFinal:
        return { kind: "AuthenticationSASLFinal", data: reader.rest() };
      default:
        return { kind: "AuthenticationUnsupported", code, data: reader.rest() };
    }
  },
  encode(writer, message) {
    switch (message.kind) {
      case "AuthenticationOk":
        writer.int32(CODE.ok);
        return;
      case "AuthenticationCleartextPassword":
        writer.int32(CODE.cleartextPassword);
        return;
      case "AuthenticationMD5Password":
        writer.int32(CODE.md5Password).bytes(message.salt);
        return;
      case "AuthenticationSASL":
        writer.int32(CODE.sasl);
        for (const mechanism of message.mechanisms) writer.string(mechanism);
        writer.uint8(0);
        return;
      case "AuthenticationSASLContinue":
        writer.int32(CODE.saslContinue).bytes(message.data);
        return;
      case "AuthenticationSASLFinal":
        writer.int32(CODE.saslFinal).bytes(message.data);
        return;
      case "AuthenticationUnsupported":
        writer.int32(message.code).bytes(message.data);
    }
  },
};

function mechanismNames(reader: Reader): string[] {
  const names: string[] = [];
  for (let name = reader.string(); name !== ""; name = reader.string()) names.push(name);
  return names;
}
