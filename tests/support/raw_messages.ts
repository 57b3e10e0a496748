// In: what a test wants to say. Out: bytes of PostgreSQL's protocol 3.0, right or wrong.
// Chapter: the other side's handwriting. It shares nothing with lib/wire, so that a mistake there is not mirrored here.

/** A message as it came: its type character and what follows its length. */
export interface RawMessage {
  readonly type: string;
  readonly body: Uint8Array;
}

/** SSLRequest (F). */
export const SSL_REQUEST = untyped(int32(80877103));

/** GSSENCRequest (F). */
export const GSSENC_REQUEST = untyped(int32(80877104));

/** A message with a type character; the length is right unless another is given. */
export function typed(
  type: string,
  body: Uint8Array = new Uint8Array(),
  length = body.length + 4,
): Uint8Array {
  return concat(text(type), int32(length), body);
}

/** A message without a type character, as a frontend's first one is. */
export function untyped(body: Uint8Array, length = body.length + 4): Uint8Array {
  return concat(int32(length), body);
}

/** StartupMessage (F); version 3.0 is 196608. */
export function startupMessage(parameters: Readonly<Record<string, string>>, version = 196608): Uint8Array {
  const strings = Object.entries(parameters).flat().map(cString);
  return untyped(concat(int32(version), ...strings, Uint8Array.of(0)));
}

/** CancelRequest (F). */
export function cancelRequest(processId: number, secretKey: Uint8Array): Uint8Array {
  return untyped(concat(int32(80877102), int32(processId), secretKey));
}

/** Query (F). */
export function query(statement: string): Uint8Array {
  return typed("Q", cString(statement));
}

/** PasswordMessage (F). */
export function passwordMessage(password: string): Uint8Array {
  return typed("p", cString(password));
}

/** SASLInitialResponse (F); `null` is no initial response, and the length is right unless another is given. */
export function saslInitialResponse(
  mechanism: string,
  data: Uint8Array | null,
  length = data?.length ?? -1,
): Uint8Array {
  return typed("p", concat(cString(mechanism), int32(length), data ?? new Uint8Array()));
}

/** SASLResponse (F). */
export function saslResponse(data: Uint8Array): Uint8Array {
  return typed("p", data);
}

/** Authentication* (B): 0 is Ok, 3 CleartextPassword, 5 MD5Password, 10 SASL, 11 SASLContinue. */
export function authentication(code: number, rest: Uint8Array = new Uint8Array()): Uint8Array {
  return typed("R", concat(int32(code), rest));
}

/** ErrorResponse (B). */
export function errorResponse(sqlstate: string, message: string): Uint8Array {
  return typed(
    "E",
    concat(...["SFATAL", "VFATAL", `C${sqlstate}`, `M${message}`].map(cString), Uint8Array.of(0)),
  );
}

/** ReadyForQuery (B). */
export function readyForQuery(status = "I"): Uint8Array {
  return typed("Z", text(status));
}

/** What a backend says when a login is good: AuthenticationOk, ParameterStatus, BackendKeyData, ReadyForQuery. */
export function loginIsComplete(
  processId = 4711,
  secretKey: Uint8Array = Uint8Array.of(1, 2, 3, 4),
): Uint8Array {
  return concat(
    authentication(0),
    typed("S", concat(cString("server_version"), cString("18.0"))),
    typed("K", concat(int32(processId), secretKey)),
    readyForQuery(),
  );
}

/** The fields of an ErrorResponse (B) or NoticeResponse (B) by their letters. */
export function readFields({ body }: RawMessage): Record<string, string> {
  const fields = new TextDecoder().decode(body).split("\0").filter((field) => field !== "");
  return Object.fromEntries(fields.map((field) => [field[0], field.slice(1)]));
}

/** Int32 in network byte order. */
export function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  return bytes;
}

/** Int16 in network byte order. */
export function int16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  new DataView(bytes.buffer).setInt16(0, value);
  return bytes;
}

/** String in UTF-8 with its closing zero byte. */
export function cString(value: string): Uint8Array {
  return concat(text(value), Uint8Array.of(0));
}

/** UTF-8 without a closing zero byte. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

/** All the bytes in a row. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
