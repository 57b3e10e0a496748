import { PgError } from "../errors.ts";
import { type Authentication, authentication } from "./authentication.ts";
import { backendKeyData, negotiateProtocolVersion, parameterStatus, readyForQuery } from "./backend.ts";
import { printableType } from "./framing.ts";
import { saslInitialResponse } from "./frontend.ts";
import { decodeMessage } from "./message.ts";
import { AUTHENTICATION_NAMES, BACKEND_NAMES, FRONTEND_NAMES } from "./message_names.ts";
import { Reader } from "./reader.ts";
import { startupPacket } from "./startup_packet.ts";

/** Who speaks: the frontend or the backend. */
export type Direction = "F" | "B";

/** A message's name and its fields, each as it is printed. */
type Description = readonly [name: string, ...fields: readonly string[]];

// The words libpq itself prints in place of a number, a string and bytes that are not to be shown.
const SECRET_STRING = '"SSSS"';
const SECRET_BYTES = "'BBBB'";

const MALFORMED = "malformed";
const MAX_SHOWN_FIELDS = 64;
const MAX_SHOWN_STRING_LENGTH = 200; // bytes

/** Startup parameters whose value is shown; any other may be a password that someone put in the wrong place. */
const SHOWN_PARAMETERS: ReadonlySet<string> = new Set([
  ...["user", "database", "application_name", "client_encoding", "replication"],
  ...["DateStyle", "IntervalStyle", "TimeZone", "extra_float_digits", "search_path", "statement_timeout"],
]);

/** Mechanisms that are shown by name; any other may be a PasswordMessage that only looks like a SASLInitialResponse. */
const SHOWN_MECHANISMS: ReadonlySet<string> = new Set(["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER"]);

/** Fields of an error that are shown; DETAIL, HINT, WHERE and the like quote rows and queries. */
const SHOWN_ERROR_FIELDS: ReadonlySet<string> = new Set(["S", "V", "C", "M", "F", "L", "R"]);

/**
 * One whole message as a line in the form of libpq's PQtrace: direction, length, name and fields, between tabs.
 *
 * The fields of a login are shown; a later message is its name alone. What is secret never is shown. It throws at
 * nothing that a peer can send: what cannot be decoded is said to be malformed.
 *
 * @see https://www.postgresql.org/docs/18/libpq-control.html#LIBPQ-PQTRACE
 */
export function traceFrame(direction: Direction, bytes: Uint8Array): string {
  if (direction === "B" && bytes.length === 1) return line(direction, 1, encryptionResponse(bytes[0]));
  // A startup packet has no type byte; as it is under 16 MiB, the first byte of its length is zero.
  const lengthAt = bytes[0] === 0 ? 0 : 1;
  if (bytes.length < lengthAt + 4) return line(direction, bytes.length, ["Unknown message", MALFORMED]);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getInt32(lengthAt);
  const body = bytes.subarray(lengthAt + 4);
  const [name, ...fields] = lengthAt === 0
    ? describe("StartupMessage", () => startup(body))
    : typed(direction, bytes[0], body);
  return line(direction, length, bytes.length === lengthAt + length ? [name, ...fields] : [name, MALFORMED]);
}

function line(direction: Direction, length: number, [name, ...fields]: Description): string {
  const shown = fields.length > MAX_SHOWN_FIELDS ? [...fields.slice(0, MAX_SHOWN_FIELDS), "..."] : fields;
  const printed = shown.map((field) => ` ${field}`).join("");
  return [direction, length, name, ...(printed === "" ? [] : [printed])].join("\t");
}

function typed(direction: Direction, type: number, body: Uint8Array): Description {
  const letter = String.fromCharCode(type);
  if (direction === "F" && letter === "p") return authenticationResponse(body);
  const names = direction === "F" ? FRONTEND_NAMES : BACKEND_NAMES;
  if (!Object.hasOwn(names, letter)) return [`Unknown message: ${printableType(type)}`];
  const name = names[letter];
  return direction === "F" ? [name] : describe(name, () => backend(name, body));
}

/** What `decoded` says of a message, or that the message called `name` is malformed. */
function describe(name: string, decoded: () => Description): Description {
  try {
    return decoded();
  } catch (error) {
    if (error instanceof PgError) return [name, MALFORMED];
    throw error;
  }
}

/** The answer to SSLRequest or GSSENCRequest is a single byte. */
function encryptionResponse(byte: number): Description {
  switch (String.fromCharCode(byte)) {
    case "S":
      return ["SSLResponse", "S"];
    case "G":
      return ["GSSENCResponse", "G"];
    case "N":
      return ["SSLResponse or GSSENCResponse", "N"];
    default:
      return [`Unknown message: ${printableType(byte)}`];
  }
}

function startup(body: Uint8Array): Description {
  const packet = decodeMessage(startupPacket, body);
  switch (packet.kind) {
    case "SSLRequest":
      return [packet.kind, "1234", "5679"];
    case "GSSENCRequest":
      return [packet.kind, "1234", "5680"];
    case "CancelRequest":
      return [packet.kind, "1234", "5678", String(packet.processId), SECRET_BYTES];
    case "StartupMessage": {
      const { major, minor } = packet.protocolVersion;
      const parameters = [...packet.parameters].flatMap(([name, value]) => [
        quoted(name),
        SHOWN_PARAMETERS.has(name) ? quoted(value) : SECRET_STRING,
      ]);
      return [packet.kind, String(major), String(minor), ...parameters];
    }
  }
}

/** The messages of type `p` differ by what was asked before; here their shape has to do, and none shows its secret. */
function authenticationResponse(body: Uint8Array): Description {
  const initial = describe("", () => {
    const { mechanism, data } = decodeMessage(saslInitialResponse, body);
    const shown = SHOWN_MECHANISMS.has(mechanism) ? quoted(mechanism) : SECRET_STRING;
    const fields = data === null ? ["-1"] : [String(data.length), SECRET_BYTES];
    return ["SASLInitialResponse", shown, ...fields];
  });
  if (initial[1] !== MALFORMED) return initial;
  const isOneString = body.length > 0 && body.indexOf(0) === body.length - 1;
  return isOneString ? ["PasswordMessage", SECRET_STRING] : ["SASLResponse", SECRET_BYTES];
}

function backend(name: string, body: Uint8Array): Description {
  switch (name) {
    case "Authentication":
      return authenticationRequest(decodeMessage(authentication, body));
    case "BackendKeyData":
      return [name, String(decodeMessage(backendKeyData, body).processId), SECRET_BYTES];
    case "ErrorResponse":
    case "NoticeResponse":
      return [name, ...errorFields(new Reader(body, name))];
    case "NegotiateProtocolVersion": {
      const { minorVersion, unrecognizedOptions } = decodeMessage(negotiateProtocolVersion, body);
      const options = unrecognizedOptions.map(quoted);
      return [name, String(minorVersion), String(options.length), ...options];
    }
    case "ParameterStatus": {
      const status = decodeMessage(parameterStatus, body);
      return [name, quoted(status.name), quoted(status.value)];
    }
    case "ReadyForQuery":
      return [name, decodeMessage(readyForQuery, body).transactionStatus];
    default:
      return [name];
  }
}

function authenticationRequest(request: Authentication): Description {
  switch (request.kind) {
    case "AuthenticationOk":
    case "AuthenticationCleartextPassword":
      return [request.kind];
    case "AuthenticationMD5Password":
    case "AuthenticationSASLContinue":
    case "AuthenticationSASLFinal":
      return [request.kind, SECRET_BYTES];
    case "AuthenticationSASL":
      return [request.kind, ...request.mechanisms.map(quoted), '""'];
    case "AuthenticationUnsupported": {
      const name = AUTHENTICATION_NAMES[request.code];
      return [name ?? `Unknown authentication message ${request.code}`];
    }
  }
}

function errorFields(reader: Reader): string[] {
  const fields: string[] = [];
  for (let type = reader.uint8(); type !== 0; type = reader.uint8()) {
    const letter = String.fromCharCode(type);
    const value = reader.text();
    fields.push(
      escaped(new Uint8Array([type])),
      SHOWN_ERROR_FIELDS.has(letter) ? quoted(value) : SECRET_STRING,
    );
  }
  reader.end();
  return [...fields, "\\x00"];
}

function quoted(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const isCut = bytes.length > MAX_SHOWN_STRING_LENGTH;
  return `"${escaped(bytes.subarray(0, MAX_SHOWN_STRING_LENGTH))}"${isCut ? "..." : ""}`;
}

/** Printable ASCII as it is; a line break, an escape sequence or a mark that turns text around is shown in hex. */
function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    return byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}
