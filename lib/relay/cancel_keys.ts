import { timingSafeEqual } from "node:crypto";
import type { BackendKeyData } from "../wire/backend.ts";
import type { ProtocolVersion } from "../wire/startup_packet.ts";
import type { Soon } from "../soon.ts";

/** What a matching CancelRequest may do: a relay. */
export interface Cancellable {
  /** Passes the cancel on to the backend, if there is a query it could mean. */
  cancelQuery(): Promise<void>;
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
  readonly #byProcessId = new Map<number, IssuedKey>();

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
    const key = new IssuedKey(this.#byProcessId, { processId, secretKey, session, clientAddress });
    this.#byProcessId.set(processId, key);
    return key;
  }

  /** The session a CancelRequest means; `undefined` when the key or the address is wrong, which take alike long. */
  find({ processId, secretKey, clientAddress }: CancelClaim): Cancellable | undefined {
    const key = this.#byProcessId.get(processId);
    const given = secretKey.toHex();
    const expected = key?.secretKey ?? given;
    const isSameLength = expected.length === given.length;
    // With nothing to compare with, the key is compared with itself: the work is the same.
    const isSameKey = isSameSecret(isSameLength ? expected : given, given) && isSameLength;
    return isSameKey && key?.clientAddress === clientAddress ? key.session : undefined;
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

function isSameSecret(one: string, other: string): boolean {
  return timingSafeEqual(Uint8Array.fromHex(one), Uint8Array.fromHex(other));
}

/** A key, and what it is for. Its secret is kept in hexadecimal: in bytes it would take eight times the memory. */
class IssuedKey implements CancelKey {
  readonly session: Cancellable;
  readonly clientAddress: string;
  readonly secretKey: string;
  readonly #among: Map<number, IssuedKey>;
  readonly #processId: number;

  constructor(
    among: Map<number, IssuedKey>,
    { processId, secretKey, session, clientAddress }: CancelClaim & { readonly session: Cancellable },
  ) {
    this.#among = among;
    this.#processId = processId;
    this.secretKey = secretKey.toHex();
    this.session = session;
    this.clientAddress = clientAddress;
  }

  get keyData(): BackendKeyData {
    const secretKey = Uint8Array.fromHex(this.secretKey);
    return { kind: "BackendKeyData", processId: this.#processId, secretKey };
  }

  [Symbol.dispose](): void {
    this.#among.delete(this.#processId);
  }
}
