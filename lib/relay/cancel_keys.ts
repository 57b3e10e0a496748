import { timingSafeEqual } from "node:crypto";
import type { BackendKeyData } from "../wire/backend.ts";
import type { ProtocolVersion } from "../wire/startup_packet.ts";
import type { Soon } from "../soon.ts";

/** What a matching CancelRequest may do: a relay. */
export interface Cancellable {
  /** Passes the cancel on to the backend, if there is a query it could mean. */
  cancelQuery(): Promise<void>;
}

interface Entry {
  readonly secretKey: Uint8Array;
  readonly session: Cancellable;
  readonly clientAddress: string;
}

/** A key handed to a client; disposing it makes it worthless. */
export interface CancelKey extends Disposable {
  readonly keyData: BackendKeyData;
}

/** What a CancelRequest says, and where it comes from. */
export interface CancelClaim {
  readonly processId: number;
  readonly secretKey: Uint8Array;
  /** IP address of whoever sends it. */
  readonly clientAddress: string;
}

/** The cancel keys as sessions see them: those of others may be in another thread. */
export interface CancelDesk {
  /** As {@link CancelKeys.issue}. */
  issue(session: Cancellable, clientAddress: string, version: ProtocolVersion): CancelKey;
  /** As {@link CancelKeys.find}. */
  find(claim: CancelClaim): Soon<Cancellable | undefined>;
}

/** What keys are made of. */
export interface CancelKeysOptions {
  /** Where their randomness comes from; default: `crypto.getRandomValues`. */
  readonly fillRandom?: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Whether a process id may be issued here, where others issue keys too; default: any may. */
  readonly isOurs?: (processId: number) => boolean;
}

// What protocol 3.0 has room for, and what PostgreSQL 18 sends on 3.2.
const SECRET_LENGTH = 4;
const SECRET_LENGTH_3_2 = 32;

/**
 * The cancel keys of all sessions: the proxy's own, so that a backend's never leaves it.
 *
 * On protocol 3.0 the process id is random too, which makes 63 bits to guess instead of 32.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export class CancelKeys implements CancelDesk {
  readonly #options: Required<CancelKeysOptions>;
  readonly #byProcessId = new Map<number, Entry>();

  constructor(
    { fillRandom = (bytes) => void crypto.getRandomValues(bytes), isOurs = () => true }: CancelKeysOptions =
      {},
  ) {
    this.#options = { fillRandom, isOurs };
  }

  /** How many sessions can be cancelled. */
  get size(): number {
    return this.#byProcessId.size;
  }

  /** Makes the key of one session; a cancel must come from the session's own address (without its port) too. */
  issue(session: Cancellable, clientAddress: string, { minor }: ProtocolVersion): CancelKey {
    const secretKey = new Uint8Array(minor >= 2 ? SECRET_LENGTH_3_2 : SECRET_LENGTH);
    this.#options.fillRandom(secretKey);
    const processId = this.#unusedProcessId();
    this.#byProcessId.set(processId, { secretKey, session, clientAddress });
    return {
      keyData: { kind: "BackendKeyData", processId, secretKey },
      [Symbol.dispose]: () => void this.#byProcessId.delete(processId),
    };
  }

  /** The session a CancelRequest means; `undefined` when the key or the address is wrong, which take alike long. */
  find({ processId, secretKey, clientAddress }: CancelClaim): Cancellable | undefined {
    const entry = this.#byProcessId.get(processId);
    const expected = entry?.secretKey ?? secretKey;
    const isSameLength = expected.length === secretKey.length;
    // With nothing to compare with, the key is compared with itself: the work is the same.
    const isSameKey = timingSafeEqual(isSameLength ? expected : secretKey, secretKey) && isSameLength;
    return isSameKey && entry?.clientAddress === clientAddress ? entry.session : undefined;
  }

  #unusedProcessId(): number {
    const bytes = new Uint8Array(4);
    const { fillRandom, isOurs } = this.#options;
    for (;;) {
      fillRandom(bytes);
      // Clients print it as a signed number: keep it positive.
      const processId = new DataView(bytes.buffer).getInt32(0) & 0x7fffffff;
      if (processId !== 0 && isOurs(processId) && !this.#byProcessId.has(processId)) return processId;
    }
  }
}
