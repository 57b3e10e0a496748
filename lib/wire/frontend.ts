import { type Message, typeByte } from "./message.ts";

/** PasswordMessage (F): a password, or whatever the authentication request made of it. */
export interface PasswordMessage {
  readonly kind: "PasswordMessage";
  readonly password: string;
}

/** SASLInitialResponse (F): the mechanism chosen, and its first data if there is any. */
export interface SaslInitialResponse {
  readonly kind: "SASLInitialResponse";
  readonly mechanism: string;
  /** `null` when the client sends none, which is not the same as sending nothing. */
  readonly data: Uint8Array | null;
}

/** SASLResponse (F): the mechanism's further data. */
export interface SaslResponse {
  readonly kind: "SASLResponse";
  readonly data: Uint8Array;
}

/** Query (F): a simple query. */
export interface Query {
  readonly kind: "Query";
  readonly query: string;
}

/** Terminate (F): the client leaves. */
export interface Terminate {
  readonly kind: "Terminate";
}

/** The largest message of a client that is not logged in yet, in bytes (PG_MAX_AUTH_TOKEN_LENGTH). */
export const MAX_AUTHENTICATION_LENGTH = 65535;

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PASSWORDMESSAGE */
export const passwordMessage: Message<PasswordMessage> = {
  name: "PasswordMessage",
  type: typeByte("p"),
  maxLength: MAX_AUTHENTICATION_LENGTH,
  decode: (reader) => ({ kind: "PasswordMessage", password: reader.string() }),
  encode: (writer, message) => void writer.string(message.password),
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SASLINITIALRESPONSE */
export const saslInitialResponse: Message<SaslInitialResponse> = {
  name: "SASLInitialResponse",
  type: typeByte("p"),
  maxLength: MAX_AUTHENTICATION_LENGTH,
  decode(reader) {
    const mechanism = reader.string();
    const length = reader.int32();
    if (length < -1) throw reader.violation("declares a negative length");
    return { kind: "SASLInitialResponse", mechanism, data: length === -1 ? null : reader.bytes(length) };
  },
  encode(writer, message) {
    writer.string(message.mechanism).int32(message.data?.length ?? -1);
    if (message.data !== null) writer.bytes(message.data);
  },
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SASLRESPONSE */
export const saslResponse: Message<SaslResponse> = {
  name: "SASLResponse",
  type: typeByte("p"),
  maxLength: MAX_AUTHENTICATION_LENGTH,
  decode: (reader) => ({ kind: "SASLResponse", data: reader.rest() }),
  encode: (writer, message) => void writer.bytes(message.data),
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-QUERY */
export const query: Message<Query> = {
  name: "Query",
  type: typeByte("Q"),
  maxLength: MAX_AUTHENTICATION_LENGTH,
  decode: (reader) => ({ kind: "Query", query: reader.string() }),
  encode: (writer, message) => void writer.string(message.query),
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-TERMINATE */
export const terminate: Message<Terminate> = {
  name: "Terminate",
  type: typeByte("X"),
  maxLength: 4,
  decode: () => ({ kind: "Terminate" }),
  encode: () => {},
};
