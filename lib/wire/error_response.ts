import type { PgError } from "../errors.ts";
import { encodeMessage, type Message, typeByte } from "./message.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/**
 * The fields of ErrorResponse and NoticeResponse, by the letter each has on the wire.
 *
 * @see https://www.postgresql.org/docs/18/protocol-error-fields.html
 */
const FIELD_NAMES = {
  S: "localizedSeverity",
  V: "severity",
  C: "sqlstate",
  M: "message",
  D: "detail",
  H: "hint",
  P: "position",
  p: "internalPosition",
  q: "internalQuery",
  W: "where",
  s: "schema",
  t: "table",
  c: "column",
  d: "dataType",
  n: "constraint",
  F: "file",
  L: "line",
  R: "routine",
} as const;

type FieldName = typeof FIELD_NAMES[keyof typeof FIELD_NAMES];

/** The fields of an error or a notice; a server may leave out any of them. */
export type ErrorFields = { readonly [name in FieldName]?: string };

/** ErrorResponse (B): what went wrong. */
export interface ErrorResponse extends ErrorFields {
  readonly kind: "ErrorResponse";
}

/** NoticeResponse (B): something worth saying that is no error. */
export interface NoticeResponse extends ErrorFields {
  readonly kind: "NoticeResponse";
}

/** PostgreSQL reads no longer error than this during a login (MAX_ERRLEN of libpq), in bytes. */
const MAX_ERROR_LENGTH = 30000;

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ERRORRESPONSE */
export const errorResponse: Message<ErrorResponse> = {
  name: "ErrorResponse",
  type: typeByte("E"),
  maxLength: MAX_ERROR_LENGTH,
  decode: (reader) => ({ kind: "ErrorResponse", ...decodeFields(reader) }),
  encode: encodeFields,
};

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-NOTICERESPONSE */
export const noticeResponse: Message<NoticeResponse> = {
  name: "NoticeResponse",
  type: typeByte("N"),
  maxLength: MAX_ERROR_LENGTH,
  decode: (reader) => ({ kind: "NoticeResponse", ...decodeFields(reader) }),
  encode: encodeFields,
};

/** The one ErrorResponse maker: what a client may know of an error of ours. */
export function encodeError(error: PgError): Uint8Array<ArrayBuffer> {
  return encodeMessage(errorResponse, {
    kind: "ErrorResponse",
    localizedSeverity: error.severity,
    severity: error.severity,
    sqlstate: error.sqlstate,
    message: withoutNul(error.message),
    detail: withoutNul(error.detail),
    hint: withoutNul(error.hint),
  });
}

/** A field ends at its first zero byte: a text that holds one would be read as more fields. */
function withoutNul<T extends string | undefined>(text: T): T {
  return text?.replaceAll("\0", "") as T;
}

function decodeFields(reader: Reader): ErrorFields {
  const fields: { [name in FieldName]?: string } = {};
  for (let letter = reader.uint8(); letter !== 0; letter = reader.uint8()) {
    const name = fieldName(String.fromCharCode(letter));
    const value = reader.text();
    // The documentation asks frontends to ignore letters they do not know.
    if (name !== undefined) fields[name] = value;
  }
  return fields;
}

function encodeFields(writer: Writer, fields: ErrorFields): void {
  for (const [letter, name] of Object.entries(FIELD_NAMES)) {
    const value = fields[name];
    if (value !== undefined) writer.uint8(letter.charCodeAt(0)).string(value);
  }
  writer.uint8(0);
}

function fieldName(letter: string): FieldName | undefined {
  return Object.hasOwn(FIELD_NAMES, letter) ? FIELD_NAMES[letter as keyof typeof FIELD_NAMES] : undefined;
}
