import fc from "fast-check";

/** Text that a null-terminated string can hold. */
export const protocolString = fc.string({ unit: "binary" }).map((text) => text.replaceAll("\0", ""));

const nonEmptyString = protocolString.filter((text) => text !== "");
const data = fc.uint8Array({ maxLength: 300 });
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const cancelKey = fc.uint8Array({ minLength: 4, maxLength: 256 });

/** One arbitrary for each message of `lib/wire/`, by the message's name. */
export const arbitraries: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  "startup packet": fc.oneof(
    value("SSLRequest"),
    value("GSSENCRequest"),
    value("CancelRequest", { processId: int32, secretKey: cancelKey }),
    value("StartupMessage", {
      protocolVersion: versionOf(fc.constant(3)),
      parameters: fc.uniqueArray(fc.tuple(nonEmptyString, protocolString), { selector: ([name]) => name })
        .map((entries) => new Map(entries)),
    }),
    // Of another major version nothing but the version is read; 1234 is the one of the request codes.
    value("StartupMessage", {
      protocolVersion: versionOf(uint16.filter((major) => major !== 3 && major !== 1234)),
      parameters: fc.constant(new Map()),
    }),
  ),
  Authentication: fc.oneof(
    value("AuthenticationOk"),
    value("AuthenticationCleartextPassword"),
    value("AuthenticationMD5Password", { salt: fc.uint8Array({ minLength: 4, maxLength: 4 }) }),
    value("AuthenticationSASL", { mechanisms: fc.array(nonEmptyString) }),
    value("AuthenticationSASLContinue", { data }),
    value("AuthenticationSASLFinal", { data }),
    value("AuthenticationUnsupported", {
      code: int32.filter((code) => ![0, 3, 5, 10, 11, 12].includes(code)),
      data,
    }),
  ),
  BackendKeyData: value("BackendKeyData", { processId: int32, secretKey: cancelKey }),
  CommandComplete: value("CommandComplete", { tag: protocolString }),
  DataRow: value("DataRow", { values: fc.array(fc.option(data)) }),
  ErrorResponse: errorOrNotice("ErrorResponse"),
  NegotiateProtocolVersion: value("NegotiateProtocolVersion", {
    minorVersion: uint16,
    unrecognizedOptions: fc.array(protocolString),
  }),
  NoticeResponse: errorOrNotice("NoticeResponse"),
  ParameterStatus: value("ParameterStatus", { name: protocolString, value: protocolString }),
  PasswordMessage: value("PasswordMessage", { password: protocolString }),
  Query: value("Query", { query: protocolString }),
  ReadyForQuery: value("ReadyForQuery", { transactionStatus: fc.constantFrom("I", "T", "E") }),
  RowDescription: value("RowDescription", { fields: data }),
  SASLInitialResponse: value("SASLInitialResponse", { mechanism: protocolString, data: fc.option(data) }),
  SASLResponse: value("SASLResponse", { data }),
  Terminate: value("Terminate"),
};

/** Any value of `kind` with these fields, all of them there. */
function value(kind: string, fields: Record<string, fc.Arbitrary<unknown>> = {}): fc.Arbitrary<unknown> {
  return fc.record(fields).map((values) => ({ kind, ...values }));
}

function versionOf(major: fc.Arbitrary<number>): fc.Arbitrary<unknown> {
  return fc.record({ major, minor: uint16 }, { noNullPrototype: true });
}

/** Any error or notice: a server may leave out every field. */
function errorOrNotice(kind: string): fc.Arbitrary<unknown> {
  const fields = [
    ...["localizedSeverity", "severity", "sqlstate", "message", "detail", "hint", "position"],
    ...["internalPosition", "internalQuery", "where", "schema", "table", "column", "dataType"],
    ...["constraint", "file", "line", "routine"],
  ];
  return fc.record(Object.fromEntries(fields.map((field) => [field, protocolString])), { requiredKeys: [] })
    .map((values) => ({ kind, ...values }));
}
