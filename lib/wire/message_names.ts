/**
 * Messages of the frontend by their type byte; `p` has four names, told apart by what was asked before.
 *
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html
 */
export const FRONTEND_NAMES: Readonly<Record<string, string>> = {
  B: "Bind",
  C: "Close",
  D: "Describe",
  E: "Execute",
  F: "FunctionCall",
  H: "Flush",
  P: "Parse",
  Q: "Query",
  S: "Sync",
  X: "Terminate",
  c: "CopyDone",
  d: "CopyData",
  f: "CopyFail",
};

/**
 * Messages of the backend by their type byte; `R` has a name for each of its codes.
 *
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html
 */
export const BACKEND_NAMES: Readonly<Record<string, string>> = {
  "1": "ParseComplete",
  "2": "BindComplete",
  "3": "CloseComplete",
  A: "NotificationResponse",
  C: "CommandComplete",
  D: "DataRow",
  E: "ErrorResponse",
  G: "CopyInResponse",
  H: "CopyOutResponse",
  I: "EmptyQueryResponse",
  K: "BackendKeyData",
  N: "NoticeResponse",
  R: "Authentication",
  S: "ParameterStatus",
  T: "RowDescription",
  V: "FunctionCallResponse",
  W: "CopyBothResponse",
  Z: "ReadyForQuery",
  c: "CopyDone",
  d: "CopyData",
  n: "NoData",
  s: "PortalSuspended",
  t: "ParameterDescription",
  v: "NegotiateProtocolVersion",
};

/** Authentication requests that are not spoken here, by their code. */
export const AUTHENTICATION_NAMES: Readonly<Record<number, string>> = {
  2: "AuthenticationKerberosV5",
  7: "AuthenticationGSS",
  8: "AuthenticationGSSContinue",
  9: "AuthenticationSSPI",
};
