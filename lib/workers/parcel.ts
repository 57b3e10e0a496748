import { PgError, type PgErrorOptions } from "../errors.ts";
import { CannotServe } from "../listening.ts";
import type { ProxyEvent, SessionEvent } from "../observe/events.ts";
import type { Sqlstate } from "../sqlstate.ts";
import { type TokenFault, TokenRefused } from "../token/refused_token.ts";

/** An error on its way to another thread: what a structured clone would leave of it is a message. */
export type PackedError =
  | {
    readonly kind: "PgError";
    readonly sqlstate: Sqlstate;
    readonly message: string;
    readonly options: Omit<PgErrorOptions, "cause">;
    readonly cause?: PackedError;
  }
  | { readonly kind: "TokenRefused"; readonly fault: TokenFault; readonly message: string }
  | { readonly kind: "CannotServe"; readonly message: string }
  | {
    readonly kind: "Error";
    readonly name: string;
    readonly message: string;
    readonly stack?: string;
    readonly code?: string;
    readonly cause?: PackedError;
  }
  | { readonly kind: "other"; readonly text: string };

/** An error may be the cause of what caused it. */
const MAX_CAUSES = 8;

/** Packs whatever was thrown; of what caused it, `causes` one behind the other. */
export function packError(thrown: unknown, causes = MAX_CAUSES): PackedError {
  if (thrown instanceof PgError) {
    const { sqlstate, message, severity, detail, hint, blame, reason, fault } = thrown;
    const options = { severity, detail, hint, blame, reason, fault };
    return { kind: "PgError", sqlstate, message, options, ...packedCause(thrown, causes) };
  }
  if (thrown instanceof TokenRefused) {
    return { kind: "TokenRefused", fault: thrown.fault, message: thrown.message };
  }
  if (thrown instanceof CannotServe) return { kind: "CannotServe", message: thrown.message };
  if (thrown instanceof Error) {
    const { name, message, stack, code } = thrown as Error & { readonly code?: unknown };
    const coded = typeof code === "string" ? { code } : {};
    return { kind: "Error", name, message, stack, ...coded, ...packedCause(thrown, causes) };
  }
  return { kind: "other", text: textOf(thrown) };
}

/** What was thrown, as far as it can be told from anything else. */
export function unpackError(packed: PackedError): unknown {
  switch (packed.kind) {
    case "PgError":
      return new PgError(packed.sqlstate, packed.message, { ...packed.options, ...unpackedCause(packed) });
    case "TokenRefused":
      return new TokenRefused(packed.fault, packed.message);
    case "CannotServe":
      return new CannotServe(packed.message);
    case "Error": {
      const { name, message, stack, code } = packed;
      const error = new Error(message, unpackedCause(packed));
      return Object.assign(error, { name, stack }, code === undefined ? {} : { code });
    }
    case "other":
      return packed.text;
  }
}

function packedCause({ cause }: Error, causes: number): { readonly cause?: PackedError } {
  return cause === undefined || causes === 0 ? {} : { cause: packError(cause, causes - 1) };
}

function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "something that has no text";
  }
}

function unpackedCause({ cause }: { readonly cause?: PackedError }): { readonly cause?: unknown } {
  return cause === undefined ? {} : { cause: unpackError(cause) };
}

/** An event on its way to another thread: all in it is plain data but what caused it. */
export type PackedEvent = Omit<SessionEvent | ProxyEvent, "cause"> & { readonly cause?: PackedError };

/** Packs an event. */
export function packEvent(event: SessionEvent | ProxyEvent): PackedEvent {
  if (!("cause" in event) || event.cause === undefined) return event as PackedEvent;
  return { ...event, cause: packError(event.cause) };
}

/** The event that was packed. */
export function unpackEvent(packed: PackedEvent): SessionEvent | ProxyEvent {
  return { ...packed, ...unpackedCause(packed) } as SessionEvent | ProxyEvent;
}
