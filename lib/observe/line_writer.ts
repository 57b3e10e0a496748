/** How much may wait to be written, in characters; what comes on top of it is dropped and counted. */
const MAX_WAITING_LENGTH = 1 << 20;

/** How long the last lines may take when the program ends, in milliseconds. */
const LAST_LINES_MS = 1_000;

/** Where lines go: standard error, a file, or a test's. */
export interface LineSink {
  /** Settles with how many bytes were taken, at least one. */
  write(bytes: Uint8Array): Promise<number>;
}

/** How a {@link LineWriter} writes. */
export interface LineWriterOptions {
  /** How much may wait to be written, in characters; default 1 MiB. */
  readonly maxWaitingLength?: number;
  /** The line, with its newline, that stands where so many lines are missing. */
  readonly gap?: (dropped: number) => string;
}

/**
 * Writes lines without ever making its caller wait: whoever reads them may be slow, or have stopped reading, and a log must
 * not hold up a session for that. Lines that find no room are dropped, and how many is told when there is room again.
 */
export class LineWriter implements AsyncDisposable {
  readonly #sink: LineSink;
  readonly #maxWaitingLength: number;
  readonly #gap: (dropped: number) => string;
  #waiting: string[] = [];
  #waitingLength = 0;
  #dropped = 0;
  #linesLost = 0;
  #writing: Promise<void> | null = null;

  constructor(
    sink: LineSink,
    { maxWaitingLength = MAX_WAITING_LENGTH, gap = textGap }: LineWriterOptions = {},
  ) {
    this.#sink = sink;
    this.#maxWaitingLength = maxWaitingLength;
    this.#gap = gap;
  }

  /** How many lines have found no room so far. */
  get linesLost(): number {
    return this.#linesLost;
  }

  /** Takes one line, with its newline. */
  write(line: string): void {
    if (this.#waitingLength + line.length > this.#maxWaitingLength) {
      this.#dropped++;
      this.#linesLost++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingLength += line.length;
    this.#writing ??= this.#writeWaiting();
  }

  /** Writes what is waiting, as far as it can be written soon. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LAST_LINES_MS);
    await Promise.race([this.#writing, promise]);
    clearTimeout(timer);
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0 || this.#dropped > 0) {
      const text = this.#waiting.splice(0).join("");
      const dropped = this.#dropped;
      this.#dropped = 0;
      await this.#writeAll(dropped === 0 ? text : text + this.#gap(dropped));
      this.#waitingLength -= text.length;
    }
    this.#writing = null;
  }

  async #writeAll(text: string): Promise<void> {
    let rest = new TextEncoder().encode(text);
    try {
      while (rest.length > 0) rest = rest.subarray(await this.#sink.write(rest));
    } catch {
      // Nobody can be told that the log cannot be written; sessions go on.
    }
  }
}

function textGap(dropped: number): string {
  return `${dropped} log lines were dropped: they were not read in time\n`;
}
