import { type Dialogue, send } from "../dialogue.ts";
import {
  type CommandComplete,
  commandComplete,
  type DataRow,
  dataRow,
  type ReadyForQuery,
  readyForQuery,
  type RowDescription,
  rowDescription,
} from "../wire/backend.ts";
import { query } from "../wire/frontend.ts";
import { encodeMessage } from "../wire/message.ts";
import { type Login, type StatusAsItCame, statusAsItCame } from "./login.ts";
import type { TargetSessionAttrs } from "./target.ts";

/** What {@link unmetAttribute} looks for; `prefer-standby` is `standby` first and `any` then. */
export type WantedAttrs = Exclude<TargetSessionAttrs, "prefer-standby">;

/**
 * Why the backend just logged in to is not of the kind wanted; undefined when it is. Since PostgreSQL 14 it has already
 * said so in ParameterStatus; an older one is asked.
 *
 * @throws {PgError} the backend's own SQLSTATE when it will not answer
 * @see https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 */
export function* unmetAttribute(login: Login, wanted: WantedAttrs): Dialogue<string | undefined> {
  switch (wanted) {
    case "any":
      return undefined;
    case "read-write":
      return (yield* isReadOnly(login)) ? "its sessions are read-only" : undefined;
    case "read-only":
      return (yield* isReadOnly(login)) ? undefined : "its sessions are not read-only";
    case "primary":
      return (yield* isStandby(login)) ? "it is a standby" : undefined;
    case "standby":
      return (yield* isStandby(login)) ? undefined : "it is not a standby";
  }
}

function* isReadOnly(login: Login): Dialogue<boolean> {
  const byDefault = reported(login, "default_transaction_read_only");
  const inStandby = reported(login, "in_hot_standby");
  if (byDefault !== undefined && inStandby !== undefined) return byDefault === "on" || inStandby === "on";
  return (yield* ask(login, "SHOW transaction_read_only")) === "on";
}

function* isStandby(login: Login): Dialogue<boolean> {
  const inStandby = reported(login, "in_hot_standby");
  if (inStandby !== undefined) return inStandby === "on";
  // Qualified: the search path of the role may put a function of somebody else's in front.
  return (yield* ask(login, "SELECT pg_catalog.pg_is_in_recovery()")) === "t";
}

function reported({ parameterStatuses }: Login, name: string): string | undefined {
  return parameterStatuses.findLast((status) => status.name === name)?.value;
}

type Reply = RowDescription | DataRow | CommandComplete | StatusAsItCame | ReadyForQuery;

/** The one value of a query's one row. */
function* ask(login: Login, text: string): Dialogue<string> {
  yield* send(encodeMessage(query, { kind: "Query", query: text }));
  let value: string | undefined;
  for (;;) {
    const reply = yield* login.receive<Reply>(
      rowDescription,
      dataRow,
      commandComplete,
      statusAsItCame,
      readyForQuery,
    );
    switch (reply.kind) {
      case "DataRow":
        value ??= new TextDecoder().decode(reply.values[0] ?? new Uint8Array());
        break;
      case "StatusAsItCame":
        login.noteStatus(reply);
        break;
      case "ReadyForQuery":
        if (value === undefined) throw login.violation(`"${text}" had no row`);
        return value;
    }
  }
}
