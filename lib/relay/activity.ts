import { protocolViolation } from "../errors.ts";
import type { TransactionStatus } from "../wire/backend.ts";

// What passes, by type byte. Frontend (F) and backend (B) use the same letters for different messages.
const F_QUERY = 0x51; // Q
const F_FUNCTION_CALL = 0x46; // F
const F_SYNC = 0x53; // S
const F_FLUSH = 0x48; // H
const F_COPY_DONE = 0x63; // c
const F_COPY_FAIL = 0x66; // f
const F_TERMINATE = 0x58; // X
const F_COPY_DATA = 0x64; // d
const B_READY_FOR_QUERY = 0x5a; // Z
const B_COPY_IN_RESPONSE = 0x47; // G
const B_COPY_BOTH_RESPONSE = 0x57; // W
const B_ERROR_RESPONSE = 0x45; // E

/** What waits for the backend to come to it: a Query or FunctionCall, a Sync, or the end of a COPY not yet known of. */
const REQUEST = 0;
const SYNC = 1;
const COPY_END = 2;

/** A run of so many of one kind is the number `count * KINDS + kind`. */
const KINDS = 3;

/** No run at all. */
const NONE = 0;

/**
 * As many runs as are kept, of eight bytes each. What the buffers of the system hold is less; a backend that reads on and never
 * answers would have them fill the memory.
 */
const MAX_RUNS = 4 * 1024 * 1024;

const STATES = {
  I: "idle",
  T: "idle in transaction",
  E: "idle in transaction (aborted)",
} as const satisfies Record<TransactionStatus, string>;

/** What a session is doing. */
export type SessionState = "active" | typeof STATES[TransactionStatus];

const STATUS_IDLE = 0x49; // I
const STATUS_IN_TRANSACTION = 0x54; // T
const STATUS_FAILED = 0x45; // E

/**
 * Whether a session is doing anything, from the headers that pass.
 *
 * Idle means: every Query, FunctionCall and Sync sent has had its ReadyForQuery, nothing is sent that waits for a Sync,
 * and the last status was `I`. Counting answers, not looking at the last one, is what pipelining asks for: the
 * ReadyForQuery of query 1 says nothing of query 2, which is already on its way.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class Activity {
  /**
   * The first run of what the backend has not come to yet; which are Syncs matters to COPY. Mostly there is no other: a query
   * then touches no array, which would seldom lie in the processor's caches.
   */
  #oldest = NONE;
  /**
   * The runs behind it, from `#next` on; `null` when there are none. Numbers, and none is ever shifted out: a client may
   * pipeline a million runs.
   */
  #behind: number[] | null = null;
  #next = 0;
  /** How many Syncs there are in all of them. */
  #syncs = 0;
  #hasUnsynced = false;
  #isCopyingIn = false;
  #status: TransactionStatus = "I";
  /** Requests sent, and how many of them are over. */
  #asked = 0;
  #settled = 0;
  #transactions = 0;
  #isTerminated = false;

  /** The transaction status of the last ReadyForQuery. */
  get transactionStatus(): TransactionStatus {
    return this.#status;
  }

  /** Nothing is asked and unanswered: there is no query a cancel could mean. */
  get isQuiet(): boolean {
    return this.#oldest === NONE && !this.#hasUnsynced;
  }

  /** Quiet, and outside a transaction: the session can be ended and nothing is lost. */
  get isIdle(): boolean {
    return this.isQuiet && this.#status === "I";
  }

  /** What the client has begun to send is not all there: a COPY, or what waits for a Sync. */
  get isSending(): boolean {
    return this.#isCopyingIn || this.#hasUnsynced;
  }

  /** What is under way needs more of the client to come to its end: a COPY, a transaction, or what waits for a Sync. */
  get needsClient(): boolean {
    if (this.isSending || this.#isTerminated) return true;
    return this.isQuiet && this.#status !== "I";
  }

  /** What the session is doing, in the words of the view `pg_stat_activity`. */
  get state(): SessionState {
    if (!this.isQuiet) return "active";
    return STATES[this.#status];
  }

  /** A mark on everything asked so far, for {@link isPast}. */
  mark(): number {
    // What waits for a Sync is settled by the ReadyForQuery of that Sync, which is the next request.
    return this.#asked + (this.#hasUnsynced ? 1 : 0);
  }

  /** Everything that was asked when `mark` was made is over. */
  isPast(mark: number): boolean {
    return this.#settled >= mark;
  }

  /**
   * How often a ReadyForQuery has said `I`: the transaction of before is over, committed or not, and be it that of a single
   * statement. A Sync behind which there is nothing counts as well.
   */
  get transactions(): number {
    return this.#transactions;
  }

  /** The client has said Terminate: its leaving is no accident. */
  get isTerminated(): boolean {
    return this.#isTerminated;
  }

  /**
   * Notes a message of the client.
   *
   * @throws {PgError} 08P01 when too much is asked and unanswered to keep count of
   */
  frontendMessage(type: number): void {
    switch (type) {
      case F_COPY_DATA:
        return;
      case F_QUERY:
      case F_FUNCTION_CALL:
        return this.#await(REQUEST);
      case F_SYNC:
        // A backend in copy-in mode ignores Sync and Flush: no ReadyForQuery will come for them.
        if (!this.#isCopyingIn) this.#await(SYNC);
        return;
      case F_COPY_DONE:
      case F_COPY_FAIL:
        if (this.#isCopyingIn) this.#isCopyingIn = false;
        // Sent ahead of the news that a COPY has begun; or there is none, and the backend ignores it.
        else if (!this.isQuiet) this.#add(COPY_END);
        return;
      case F_TERMINATE:
        this.#isTerminated = true;
        return;
      case F_FLUSH:
        return;
      default:
        this.#hasUnsynced = true;
    }
  }

  /** Notes a message of the backend; `firstByte` is its body's first, or -1. */
  backendMessage(type: number, firstByte: number): void {
    switch (type) {
      case B_READY_FOR_QUERY:
        this.#isCopyingIn = false;
        this.#noteStatus(firstByte);
        return this.#answer();
      case B_COPY_IN_RESPONSE:
      case B_COPY_BOTH_RESPONSE:
        return this.#beginCopyIn();
      case B_ERROR_RESPONSE:
        this.#isCopyingIn = false;
    }
  }

  #await(kind: typeof REQUEST | typeof SYNC): void {
    this.#asked++;
    if (kind === SYNC) this.#syncs++;
    this.#add(kind);
    // Its ReadyForQuery is that of all that was sent in front of it.
    this.#hasUnsynced = false;
  }

  #noteStatus(byte: number): void {
    if (byte === STATUS_IDLE) this.#status = "I";
    else if (byte === STATUS_IN_TRANSACTION) this.#status = "T";
    else if (byte === STATUS_FAILED) this.#status = "E";
    if (this.#status === "I") this.#transactions++;
  }

  #add(kind: number): void {
    const behind = this.#behind;
    if (this.#oldest === NONE) this.#oldest = KINDS + kind;
    else if (behind !== null) addTo(behind, kind);
    else if (kindOf(this.#oldest) === kind) this.#oldest += KINDS;
    else this.#behind = [KINDS + kind];
  }

  #answer(): void {
    // The end of a COPY that was sent in front of what is answered has been read, and there was none to end.
    if (kindOf(this.#oldest) === COPY_END) this.#oldest = this.#takeNext();
    if (this.#oldest === NONE) return;
    this.#settled++;
    if (kindOf(this.#oldest) === SYNC) this.#syncs--;
    this.#settleOne();
    if (this.#behind === null && kindOf(this.#oldest) === COPY_END && !this.#hasUnsynced) this.#oldest = NONE;
  }

  /**
   * Syncs sent ahead of this news are read in copy-in mode, up to the end of the COPY, and so ignored. What else is in front of
   * that end becomes one run: each is walked over once, whatever number of COPYs a client pipelines.
   */
  #beginCopyIn(): void {
    const isByQuery = this.#oldest !== NONE && kindOf(this.#oldest) === REQUEST;
    let requests = 0;
    for (; this.#oldest !== NONE && kindOf(this.#oldest) !== COPY_END; this.#oldest = this.#takeNext()) {
      const count = Math.floor(this.#oldest / KINDS);
      if (kindOf(this.#oldest) === REQUEST) {
        requests += count;
        continue;
      }
      this.#settled += count;
      this.#syncs -= count;
    }
    this.#isCopyingIn = this.#oldest === NONE;
    if (!this.#isCopyingIn) this.#settleOne();
    if (requests > 0) this.#putFirst(requests * KINDS + REQUEST);
    if (!isByQuery && this.#syncs === 0) this.#hasUnsynced = true;
  }

  /** One of the oldest run is over. */
  #settleOne(): void {
    this.#oldest -= KINDS;
    if (this.#oldest < KINDS) this.#oldest = this.#takeNext();
  }

  /** What is over is cut off only when it is half of them: each then costs the same, however many there are. */
  #takeNext(): number {
    const behind = this.#behind;
    if (behind === null) return NONE;
    const run = behind[this.#next++];
    if (this.#next * 2 >= behind.length) {
      this.#behind = this.#next === behind.length ? null : behind.slice(this.#next);
      this.#next = 0;
    }
    return run;
  }

  /** At least one was taken before: there is room in front of the others, but where they have just been cut. */
  #putFirst(run: number): void {
    if (this.#oldest !== NONE) {
      const behind = this.#behind ??= [];
      if (this.#next > 0) behind[--this.#next] = this.#oldest;
      else behind.unshift(this.#oldest);
    }
    this.#oldest = run;
  }
}

function addTo(runs: number[], kind: number): void {
  const last = runs.length - 1;
  if (kindOf(runs[last]) === kind) runs[last] += KINDS;
  else if (last < MAX_RUNS) runs.push(KINDS + kind);
  else throw protocolViolation("too many requests wait for their answers");
}

function kindOf(run: number): number {
  return run % KINDS;
}
