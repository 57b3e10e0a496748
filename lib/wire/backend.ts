import { type Message, typeByte } from "./message.ts";

/** BackendKeyData (B): what a CancelRequest for this session must show. */
export interface BackendKeyData {
  readonly kind: "BackendKeyData";
  readonly processId: number;
  /** 4 bytes in protocol 3.0, up to 256 in 3.2. */
  readonly secretKey: Uint8Array;
}

/** ParameterStatus (B): the value a run-time parameter now has. */
export interface ParameterStatus {
  readonly kind: "ParameterStatus";
  readonly name: string;
  readonly value: string;
}

/** ReadyForQuery (B): the next query may come. */
export interface ReadyForQuery {
  readonly kind: "ReadyForQuery";
  readonly transactionStatus: TransactionStatus;
}

/** `I` idle, `T` in a transaction block, `E` in a failed one. */
export type TransactionStatus = "I" | "T" | "E";

/** NegotiateProtocolVersion (B): the newest minor version spoken here, and the options not known here. */
export interface NegotiateProtocolVersion {
  readonly kind: "NegotiateProtocolVersion";
  readonly minorVersion: number;
  readonly unrecognizedOptions: readonly string[];
}

/** RowDescription (B): what the columns of the rows to come are; only their count is of use here. */
export interface RowDescription {
  readonly kind: "RowDescription";
  readonly fields: Uint8Array;
}

/** DataRow (B): the values of one row; `null` is SQL's. */
export interface DataRow {
  readonly kind: "DataRow";
  readonly values: readonly (Uint8Array | null)[];
}

/** CommandComplete (B): a command has ended. */
export interface CommandComplete {
  readonly kind: "CommandComplete";
  readonly tag: string;
}

/** What a login may see of a message that has no small natural bound, in bytes. */
const MAX_LOGIN_MESSAGE_LENGTH = 30000;

const MIN_CANCEL_KEY_LENGTH = 4;
const MAX_CANCEL_KEY_LENGTH = 256;

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BACKENDKEYDATA */
export const backendKeyData: Message<BackendKeyData> = {
  name: "BackendKeyData",
  type: typeByte("K"),
  maxLength: 4 + 4 + MAX_CANCEL_KEY_LENGTH,
  decode(reader) {
    const processId = reader.int32();
    const secretKey = reader.rest();
    if (secretKey.length < MIN_CANCEL_KEY_LENGTH) throw reader.violation("has a cancel key under 4 bytes");
    return { kind: "BackendKeyData", processId, secretKey };
  },
  encode: (writer, message) => void writer.int32(message.processId).bytes(message.secretKey),
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PARAMETERSTATUS */
export const parameterStatus: Message<ParameterStatus> = {
  name: "ParameterStatus",
  type: typeByte("S"),
  maxLength: MAX_LOGIN_MESSAGE_LENGTH,
  decode: (reader) => ({ kind: "ParameterStatus", name: reader.text(), value: reader.text() }),
  encode: (writer, message) => void writer.string(message.name).string(message.value),
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-READYFORQUERY */
export const readyForQuery: Message<ReadyForQuery> = {
  name: "ReadyForQuery",
  type: typeByte("Z"),
  maxLength: 5,
  decode(reader) {
    const transactionStatus = String.fromCharCode(reader.uint8());
    if (!isTransactionStatus(transactionStatus)) throw reader.violation("has an unknown transaction status");
    return { kind: "ReadyForQuery", transactionStatus };
  },
  encode: (writer, message) => void writer.uint8(message.transactionStatus.charCodeAt(0)),
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-NEGOTIATEPROTOCOLVERSION */
export const negotiateProtocolVersion: Message<NegotiateProtocolVersion> = {
  name: "NegotiateProtocolVersion",
  type: typeByte("v"),
  maxLength: MAX_LOGIN_MESSAGE_LENGTH,
  decode(reader) {
    // Servers write the whole version (3 << 16 | minor) in a field the documentation calls the minor version.
    const version = reader.int32();
    const [major, minorVersion] = [version >>> 16, version & 0xffff];
    if (major !== 3 && major !== 0) throw reader.violation("names another major version");
    const count = reader.int32();
    if (count < 0 || count > reader.remaining) throw reader.violation("counts more options than it holds");
    const unrecognizedOptions = Array.from({ length: count }, () => reader.string());
    return { kind: "NegotiateProtocolVersion", minorVersion, unrecognizedOptions };
  },
  encode(writer, message) {
    writer.int32((3 << 16) | message.minorVersion).int32(message.unrecognizedOptions.length);
    for (const option of message.unrecognizedOptions) writer.string(option);
  },
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ROWDESCRIPTION */
export const rowDescription: Message<RowDescription> = {
  name: "RowDescription",
  type: typeByte("T"),
  maxLength: MAX_LOGIN_MESSAGE_LENGTH,
  decode: (reader) => ({ kind: "RowDescription", fields: reader.rest() }),
  encode: (writer, message) => void writer.bytes(message.fields),
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DATAROW */
export const dataRow: Message<DataRow> = {
  name: "DataRow",
  type: typeByte("D"),
  maxLength: MAX_LOGIN_MESSAGE_LENGTH,
  decode(reader) {
    const count = reader.int16();
    if (count < 0 || count * 4 > reader.remaining) {
      throw reader.violation("counts more values than it holds");
    }
    const values = Array.from({ length: count }, () => {
      const length = reader.int32();
      return length === -1 ? null : reader.bytes(length);
    });
    return { kind: "DataRow", values };
  },
  encode(writer, message) {
    writer.int16(message.values.length);
    for (const value of message.values) {
      writer.int32(value?.length ?? -1);
      if (value !== null) writer.bytes(value);
    }
  },
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COMMANDCOMPLETE */
export const commandComplete: Message<CommandComplete> = {
  name: "CommandComplete",
  type: typeByte("C"),
  maxLength: MAX_LOGIN_MESSAGE_LENGTH,
  decode: (reader) => ({ kind: "CommandComplete", tag: reader.text() }),
  encode: (writer, message) => void writer.string(message.tag),
};

function isTransactionStatus(value: string): value is TransactionStatus {
  return value === "I" || value === "T" || value === "E";
}
