import { bytes, int16, int32 } from "./bytes.ts";

/** A value and the bytes it is on the wire, header and all. */
export interface GoldenBytes {
  readonly value: { readonly kind: string; readonly [field: string]: unknown };
  readonly bytes: Uint8Array;
}

/** What each message of `lib/wire/` is on the wire, by the message's name; one at least for each of its kinds. */
export const goldenBytes: Readonly<Record<string, readonly GoldenBytes[]>> = {
  "startup packet": [
    {
      value: { kind: "SSLRequest" },
      bytes: bytes(
        int32(8), // length
        int16(1234), // request code, upper half
        int16(5679), // request code, lower half
      ),
    },
    {
      value: { kind: "GSSENCRequest" },
      bytes: bytes(
        int32(8), // length
        int16(1234), // request code, upper half
        int16(5680), // request code, lower half
      ),
    },
    {
      value: {
        kind: "CancelRequest",
        processId: 4711,
        secretKey: bytes([1, 2, 3, 4]),
      },
      bytes: bytes(
        int32(16), // length
        int16(1234), // request code, upper half
        int16(5678), // request code, lower half
        int32(4711), // process id
        [1, 2, 3, 4], // secret key
      ),
    },
    {
      value: {
        kind: "StartupMessage",
        protocolVersion: { major: 3, minor: 2 },
        parameters: new Map([["user", "alice"], ["database", ""]]),
      },
      bytes: bytes(
        int32(30), // length
        int16(3), // major version
        int16(2), // minor version
        "user\0alice\0", // a name and its value
        "database\0\0", // a name and an empty value
        0, // end of parameters
      ),
    },
    {
      value: {
        kind: "StartupMessage",
        protocolVersion: { major: 2, minor: 0 },
        parameters: new Map(),
      },
      bytes: bytes(
        int32(8), // length
        int16(2), // major version
        int16(0), // minor version
      ),
    },
  ],
  Authentication: [
    {
      value: { kind: "AuthenticationOk" },
      bytes: bytes(
        "R", // type
        int32(8), // length
        int32(0), // login has succeeded
      ),
    },
    {
      value: { kind: "AuthenticationCleartextPassword" },
      bytes: bytes(
        "R", // type
        int32(8), // length
        int32(3), // clear-text password wanted
      ),
    },
    {
      value: { kind: "AuthenticationMD5Password", salt: bytes([1, 2, 3, 4]) },
      bytes: bytes(
        "R", // type
        int32(12), // length
        int32(5), // MD5 password wanted
        [1, 2, 3, 4], // salt
      ),
    },
    {
      value: {
        kind: "AuthenticationSASL",
        mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"],
      },
      bytes: bytes(
        "R", // type
        int32(42), // length
        int32(10), // SASL wanted
        "SCRAM-SHA-256-PLUS\0", // mechanism
        "SCRAM-SHA-256\0", // mechanism
        0, // end of mechanisms
      ),
    },
    {
      value: { kind: "AuthenticationSASLContinue", data: bytes("r=abc") },
      bytes: bytes(
        "R", // type
        int32(13), // length
        int32(11), // a SASL challenge
        "r=abc", // data
      ),
    },
    {
      value: { kind: "AuthenticationSASLFinal", data: bytes("v=abc") },
      bytes: bytes(
        "R", // type
        int32(13), // length
        int32(12), // SASL has completed
        "v=abc", // data
      ),
    },
    {
      value: {
        kind: "AuthenticationUnsupported",
        code: 8,
        data: bytes([0x60, 0x28]),
      },
      bytes: bytes(
        "R", // type
        int32(10), // length
        int32(8), // AuthenticationGSSContinue
        [0x60, 0x28], // data
      ),
    },
  ],
  BackendKeyData: [
    {
      value: { kind: "BackendKeyData", processId: 4711, secretKey: bytes([1, 2, 3, 4]) },
      bytes: bytes(
        "K", // type
        int32(12), // length
        int32(4711), // process id
        [1, 2, 3, 4], // secret key
      ),
    },
    {
      value: { kind: "BackendKeyData", processId: -1, secretKey: new Uint8Array(256).fill(7) },
      bytes: bytes(
        "K", // type
        int32(264), // length
        int32(-1), // process id
        new Uint8Array(256).fill(7), // secret key of protocol 3.2
      ),
    },
  ],
  CommandComplete: [
    {
      value: { kind: "CommandComplete", tag: "SELECT 1" },
      bytes: bytes(
        "C", // type
        int32(13), // length
        "SELECT 1\0", // tag
      ),
    },
  ],
  DataRow: [
    {
      value: { kind: "DataRow", values: [bytes("42"), null, bytes("")] },
      bytes: bytes(
        "D", // type
        int32(20), // length
        int16(3), // number of values
        int32(2), // length of the first
        "42", // value of the first
        int32(-1), // NULL
        int32(0), // length of the third, which is empty
      ),
    },
  ],
  ErrorResponse: [
    {
      value: {
        kind: "ErrorResponse",
        localizedSeverity: "FATAL",
        severity: "FATAL",
        sqlstate: "28P01",
        message: "no",
      },
      bytes: bytes(
        "E", // type
        int32(30), // length
        "SFATAL\0", // severity, localized
        "VFATAL\0", // severity
        "C28P01\0", // SQLSTATE
        "Mno\0", // message
        0, // end of fields
      ),
    },
    {
      value: {
        kind: "ErrorResponse",
        localizedSeverity: "a",
        severity: "b",
        sqlstate: "c",
        message: "d",
        detail: "e",
        hint: "f",
        position: "g",
        internalPosition: "h",
        internalQuery: "i",
        where: "j",
        schema: "k",
        table: "l",
        column: "m",
        dataType: "n",
        constraint: "o",
        file: "p",
        line: "q",
        routine: "r",
      },
      bytes: bytes(
        "E", // type
        int32(59), // length
        "Sa\0", // severity, localized
        "Vb\0", // severity
        "Cc\0", // SQLSTATE
        "Md\0", // message
        "De\0", // detail
        "Hf\0", // hint
        "Pg\0", // position
        "ph\0", // position in the internal query
        "qi\0", // internal query
        "Wj\0", // where
        "sk\0", // schema
        "tl\0", // table
        "cm\0", // column
        "dn\0", // data type
        "no\0", // constraint
        "Fp\0", // file of the server's source
        "Lq\0", // line there
        "Rr\0", // routine there
        0, // end of fields
      ),
    },
    {
      value: { kind: "ErrorResponse" },
      bytes: bytes(
        "E", // type
        int32(5), // length
        0, // end of fields, of which there are none
      ),
    },
  ],
  NegotiateProtocolVersion: [
    {
      value: {
        kind: "NegotiateProtocolVersion",
        minorVersion: 2,
        unrecognizedOptions: ["_pq_.a", "_pq_.b"],
      },
      bytes: bytes(
        "v", // type
        int32(26), // length
        [0, 3, 0, 2], // version 3.2 as servers write it
        int32(2), // number of options
        "_pq_.a\0", // option
        "_pq_.b\0", // option
      ),
    },
  ],
  NoticeResponse: [
    {
      value: {
        kind: "NoticeResponse",
        localizedSeverity: "NOTICE",
        severity: "NOTICE",
        sqlstate: "00000",
        message: "hm",
        line: "12",
      },
      bytes: bytes(
        "N", // type
        int32(36), // length
        "SNOTICE\0", // severity, localized
        "VNOTICE\0", // severity
        "C00000\0", // SQLSTATE
        "Mhm\0", // message
        "L12\0", // line of the server's source
        0, // end of fields
      ),
    },
  ],
  ParameterStatus: [
    {
      value: { kind: "ParameterStatus", name: "client_encoding", value: "UTF8" },
      bytes: bytes(
        "S", // type
        int32(25), // length
        "client_encoding\0", // name
        "UTF8\0", // value
      ),
    },
  ],
  PasswordMessage: [
    {
      value: { kind: "PasswordMessage", password: "pässword" },
      bytes: bytes(
        "p", // type
        int32(14), // length
        "p\u00e4ssword\0", // password
      ),
    },
    {
      value: { kind: "PasswordMessage", password: "" },
      bytes: bytes(
        "p", // type
        int32(5), // length
        0, // an empty password
      ),
    },
  ],
  Query: [
    {
      value: { kind: "Query", query: "select 1" },
      bytes: bytes(
        "Q", // type
        int32(13), // length
        "select 1\0", // query
      ),
    },
  ],
  ReadyForQuery: [
    {
      value: { kind: "ReadyForQuery", transactionStatus: "I" },
      bytes: bytes(
        "Z", // type
        int32(5), // length
        "I", // idle
      ),
    },
  ],
  RowDescription: [
    {
      value: { kind: "RowDescription", fields: bytes(int16(1), "?column?\0", new Uint8Array(18)) },
      bytes: bytes(
        "T", // type
        int32(33), // length
        int16(1), // number of fields
        "?column?\0", // name
        new Uint8Array(18), // table, column, type, size, modifier, format
      ),
    },
  ],
  SASLInitialResponse: [
    {
      value: { kind: "SASLInitialResponse", mechanism: "OAUTHBEARER", data: bytes("n,,") },
      bytes: bytes(
        "p", // type
        int32(23), // length
        "OAUTHBEARER\0", // mechanism
        int32(3), // length of the data
        "n,,", // data
      ),
    },
    {
      value: { kind: "SASLInitialResponse", mechanism: "SCRAM-SHA-256", data: null },
      bytes: bytes(
        "p", // type
        int32(22), // length
        "SCRAM-SHA-256\0", // mechanism
        int32(-1), // no data
      ),
    },
    {
      value: { kind: "SASLInitialResponse", mechanism: "SCRAM-SHA-256", data: bytes("") },
      bytes: bytes(
        "p", // type
        int32(22), // length
        "SCRAM-SHA-256\0", // mechanism
        int32(0), // data, and it is empty
      ),
    },
  ],
  SASLResponse: [
    {
      value: { kind: "SASLResponse", data: bytes("c=biws") },
      bytes: bytes(
        "p", // type
        int32(10), // length
        "c=biws", // data
      ),
    },
  ],
  Terminate: [
    {
      value: { kind: "Terminate" },
      bytes: bytes(
        "X", // type
        int32(4), // length
      ),
    },
  ],
};
