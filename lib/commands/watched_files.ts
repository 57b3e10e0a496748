import type { After } from "../timers.ts";

/** What is asked of the disk about a file to see whether it has changed. */
export type FileFacts = Pick<Deno.FileInfo, "mtime" | "ctime" | "size" | "ino" | "dev">;

/** What watching needs from outside. */
export interface WatchingOutside {
  readonly stat: (path: string) => Promise<FileFacts>;
  readonly after: After;
}

/** How often the files are looked at, in milliseconds. */
const LOOK_EVERY_MS = 2_000;

/** A file that was written so long before it was read, or later, may have been read half: in milliseconds. */
const UNSETTLED_MS = 1_000;

/**
 * Says when files have changed and stay as they are for one look more: a certificate and its key are two files, and somebody
 * may still be writing. Each state of the files is told of once, whatever comes of it.
 */
export class WatchedFiles implements Disposable {
  readonly #paths: readonly string[];
  readonly #readAtMs: number;
  readonly #outside: WatchingOutside;
  readonly #changed: () => void;
  /** What the disk said when they were told of last; undefined before the first look, `null` when they must be read again. */
  #told: string | null | undefined;
  /** What it said at the look before, where that is something else. */
  #before: string | null = null;
  #stop: () => void;
  #isOver = false;

  /** `readAtMs` is when they began to be read, in milliseconds since 1970; `changed` is called each time. */
  constructor(
    { paths, readAtMs, changed }: {
      readonly paths: readonly string[];
      readonly readAtMs: number;
      readonly changed: () => void;
    },
    outside: WatchingOutside,
  ) {
    this.#paths = paths;
    this.#readAtMs = readAtMs;
    this.#changed = changed;
    this.#outside = outside;
    this.#stop = this.#lookSoon();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#stop();
  }

  #lookSoon(): () => void {
    return this.#outside.after(LOOK_EVERY_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const facts = await Promise.all(this.#paths.map((path) => this.#outside.stat(path).catch(() => null)));
    if (this.#isOver) return;
    this.#stop = this.#lookSoon();
    const now = facts.map(inWords).join("\n");
    if (this.#told === undefined) this.#told = facts.some((one) => this.#isUnsettled(one)) ? null : now;
    if (now === this.#told) this.#before = null;
    else if (now !== this.#before) this.#before = now;
    else {
      this.#told = now;
      this.#changed();
    }
  }

  /** Whether it may have changed while it was read. */
  #isUnsettled(facts: FileFacts | null): boolean {
    const times = [facts?.mtime, facts?.ctime].map((time) => time?.getTime() ?? 0);
    return Math.max(...times) > this.#readAtMs - UNSETTLED_MS;
  }
}

function inWords(facts: FileFacts | null): string {
  if (facts === null) return "cannot be looked at";
  const { mtime, ctime, size, ino, dev } = facts;
  return `${mtime?.getTime()} ${ctime?.getTime()} ${size} ${ino} ${dev}`;
}
