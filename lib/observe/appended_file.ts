import { startTimer, untilDue } from "../timers.ts";
import type { LineSink } from "./line_writer.ts";

/** What becomes of a file that lines are appended to. */
export interface AppendedFileEvents {
  /** Nothing could be written: it is tried again. */
  readonly failed: (error: unknown) => void;
  /** Something was written. */
  readonly written: () => void;
}

/** An open file, as much of it as is needed here. */
export interface OpenFile {
  /** Settles with how many bytes were taken. */
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** How an {@link AppendedFile} is opened. */
export interface AppendedFileOptions extends AppendedFileEvents {
  /** How long until what could not be written is tried again, in milliseconds; default a second. */
  readonly retryMs?: number;
  /** Default: by the system. */
  readonly open?: (path: string) => Promise<OpenFile>;
}

/** How long until what could not be written is tried again, in milliseconds. */
const RETRY_MS = 1_000;

/** How long opening may take, in milliseconds. */
const OPEN_TIMEOUT_MS = 3_000;

/** Who works on this machine may read what is recorded of others only by the group: who logged in, and from where. */
const MODE = 0o640;

const NEWLINE = 0x0a;

/**
 * A file that lines are appended to, and that may be moved away meanwhile: opened anew by its path it goes on in another.
 *
 * A disk that takes nothing keeps the lines waiting here; whoever writes them is not waiting, a `LineWriter` sees to that.
 */
export class AppendedFile implements LineSink, Disposable {
  readonly #path: string;
  readonly #options: Required<AppendedFileOptions>;
  #file: OpenFile;
  /** The file to go on in, once it may be changed. */
  #next: OpenFile | null = null;
  /** Settles when nothing is being opened; and the one that is to come then, which all share who ask meanwhile. */
  #opened: Promise<void> = Promise.resolve();
  #reopening: Promise<void> | null = null;
  #isWriting = false;
  #isClosed = false;
  #stopWaiting: () => void = () => {};

  private constructor(path: string, file: OpenFile, options: Required<AppendedFileOptions>) {
    this.#path = path;
    this.#file = file;
    this.#options = options;
  }

  /** Opens it, and makes it if it is not there. Rejects with the error of the system. */
  static async open(
    path: string,
    { retryMs = RETRY_MS, open = openToAppend, ...events }: AppendedFileOptions,
  ): Promise<AppendedFile> {
    return new AppendedFile(path, await open(path), { retryMs, open, ...events });
  }

  /**
   * Opens it anew by its path. Rejects with the error of the system: then the old one stays in use. Asked again and again it
   * opens one after the other: each may hold a thread for seconds, and Deno has but 32 for files and for names of hosts.
   */
  reopen(): Promise<void> {
    return this.#reopening ??= this.#opened.then(() => {
      this.#reopening = null;
      const opening = this.#openAnew();
      this.#opened = opening.catch(() => {});
      return opening;
    });
  }

  async #openAnew(): Promise<void> {
    const next = await this.#options.open(this.#path);
    if (this.#isClosed) return next.close();
    this.#next?.close();
    this.#next = next;
    this.#stopWaiting();
    if (!this.#isWriting) this.#goOnInNext();
  }

  /** Settles when all of these whole lines are written, however long that takes; gives up only when it is closed. */
  async write(lines: Uint8Array): Promise<number> {
    this.#isWriting = true;
    let at = 0;
    while (at < lines.length && !this.#isClosed) {
      // No line is torn in two: its first half in the old file would be worth nothing.
      if (this.#goOnInNext()) at = lines.subarray(0, at).lastIndexOf(NEWLINE) + 1;
      try {
        at += await this.#file.write(lines.subarray(at));
        this.#options.written();
      } catch (error) {
        if (this.#isClosed) break;
        this.#options.failed(error);
        await this.#untilRetry();
      }
    }
    this.#isWriting = false;
    if (!this.#isClosed) this.#goOnInNext();
    return lines.length;
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopWaiting();
    this.#next?.close();
    this.#file.close();
  }

  #goOnInNext(): boolean {
    if (this.#next === null) return false;
    this.#file.close();
    this.#file = this.#next;
    this.#next = null;
    return true;
  }

  #untilRetry(): Promise<void> {
    // A file that is opened anew may be better than this one already.
    if (this.#next !== null) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.retryMs);
    this.#stopWaiting = () => {
      clearTimeout(timer);
      resolve();
    };
    return promise;
  }
}

/** A pipe is not open before somebody reads from it, and nobody may: that must hold up neither a start nor reloads. */
async function openToAppend(path: string): Promise<OpenFile> {
  const opening = Deno.open(path, { append: true, create: true, mode: MODE });
  const { promise: timeUp, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), OPEN_TIMEOUT_MS);
  const file = await Promise.race([opening, timeUp]).finally(() => clearTimeout(timer));
  if (file !== null) return file;
  const givenUp = opening.then((late) => late.close(), () => {});
  // Unless another pipe has taken its place meanwhile.
  if (await letGo(path)) await untilDue(OPEN_TIMEOUT_MS, { after: startTimer, isOver: givenUp });
  throw new Error("it takes too long to open: if it is a pipe, something must read from it");
}

/** Has whoever waits for a reader of a pipe wait no longer, who would hold a thread for ever; whether it is a pipe. */
async function letGo(path: string): Promise<boolean> {
  try {
    if (!(await Deno.stat(path)).isFifo) return false;
    // To read and to write: this never waits.
    using _both = await Deno.open(path, { read: true, write: true });
    return true;
  } catch {
    return false;
  }
}
