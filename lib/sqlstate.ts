/**
 * The SQLSTATE codes this proxy sends, each with when.
 *
 * @see https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
export const SQLSTATE = {
  /** A session is going to end: with a NoticeResponse, not with an error. */
  warning: "01000",
  /** A backend could not be reached, or would not speak TLS as asked. */
  sqlclientUnableToEstablishSqlconnection: "08001",
  /** A backend went away. */
  connectionFailure: "08006",
  /** The peer broke the protocol. */
  protocolViolation: "08P01",
  /** The client asked for something of the protocol we do not offer. */
  featureNotSupported: "0A000",
  /** The connection may not be made so: no TLS, a parameter that is not allowed; or it may not last: a token withdrawn. */
  invalidAuthorizationSpecification: "28000",
  /** The token was not good, or no rule lets its bearer in. */
  invalidPassword: "28P01",
  /** Too many logins have failed, or too many questions were asked, to look at another for a while. */
  tooManyConnections: "53300",
  /** A session was idle inside a transaction for longer than its rule allows. */
  idleInTransactionSessionTimeout: "25P03",
  /** The login took longer than `login_timeout`. */
  queryCanceled: "57014",
  /** We are shutting down, or the session's time is over. */
  adminShutdown: "57P01",
  /** A backend is starting up or shutting down: its own code, passed on. */
  cannotConnectNow: "57P03",
  /** A session was idle for longer than its rule allows. */
  idleSessionTimeout: "57P05",
  /** A bug of ours: the cause is in the log only. */
  internalError: "XX000",
} as const;

/** A five-character SQLSTATE: ours, or one a backend sent. */
export type Sqlstate = string;
