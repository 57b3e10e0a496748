import { createHash } from "node:crypto";
import { inTurns } from "../long_work.ts";
import { countDenied, type Denied, isDenied, parseDenyList } from "./denied.ts";
import type { TokenEvent } from "./token_event.ts";
import type { TokenNames } from "./verified_token.ts";
import { whyUnreadable } from "./why_unreadable.ts";

/** Tokens and bearers that are no longer welcome, whatever their issuer has signed. */
export interface DenyList {
  has(named: TokenNames): boolean;
  close(): Promise<void>;
}

/** What is asked of the disk about a file to see whether it has changed. */
export type FileFacts = Pick<Deno.FileInfo, "mtime" | "size" | "ino" | "dev">;

/** What a deny list needs from outside. */
export interface DenyListOutside {
  /** Its issuer's name in the configuration. */
  readonly issuer: string;
  readonly readTextFile: (path: string) => Promise<string>;
  readonly stat: (path: string) => Promise<FileFacts>;
  /** Milliseconds since 1970, on the clock that the disk's times are by. */
  readonly now: () => number;
  readonly report: (event: TokenEvent) => void;
}

/** How often the file is looked at, in milliseconds. */
const LOOK_EVERY_MS = 1_000;

/** A file written within so long before it was read is read again: a second change may show no other time, in milliseconds. */
const UNSETTLED_MS = 2_000;

/** Of the mistakes in one file so many are told: it may be another kind of file altogether. */
const MISTAKES_TOLD = 10;

/** A deny list cannot be used: a sentence each, with the file and the line. */
export class UnusableDenyList extends Error {
  override readonly name = "UnusableDenyList";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("; "));
    this.problems = problems;
  }
}

/** The deny list of a file, read again whenever the file changes; while it cannot be used, what it said last holds. */
export class WatchedDenyList implements DenyList {
  readonly #path: string;
  readonly #outside: DenyListOutside;
  #denied: Denied = { tokenIds: new Set(), subjects: new Set() };
  /** Of the text in use. */
  #digest = "";
  /** What the disk said of the file when it was last read; `null` when it must be read again. */
  #seen: string | null = null;
  /** Why it could not be used when it was last looked at. */
  #problem: string | null = null;
  #looking: Promise<void> | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(path: string, outside: DenyListOutside) {
    this.#path = path;
    this.#outside = outside;
  }

  /**
   * Reads the list and begins to watch its file.
   *
   * @throws {UnusableDenyList} when it cannot be read, or has mistakes
   */
  static async open(path: string, outside: DenyListOutside): Promise<WatchedDenyList> {
    const list = new WatchedDenyList(path, outside);
    await list.#readIfChanged();
    list.#timer = setInterval(() => list.look(), LOOK_EVERY_MS);
    Deno.unrefTimer(list.#timer);
    return list;
  }

  has(named: TokenNames): boolean {
    return isDenied(this.#denied, named);
  }

  /** Reads the file again if it has changed, and reports what has come of that. Never rejects. */
  look(): Promise<void> {
    return this.#looking ??= this.#look().finally(() => this.#looking = null);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { issuer, report } = this.#outside;
    try {
      const isChanged = await this.#readIfChanged();
      if (isChanged) report({ kind: "deny_list_changed", issuer, entries: countDenied(this.#denied) });
    } catch (error) {
      if (!(error instanceof UnusableDenyList)) throw error;
      if (this.#problem !== error.message) {
        report({ kind: "deny_list_failed", issuer, problem: error.message });
      }
      this.#problem = error.message;
    }
  }

  /** True when the list in use is another one now, or can be used again. */
  async #readIfChanged(): Promise<boolean> {
    const facts = await this.#ask((path) => this.#outside.stat(path));
    const { mtime, size, ino, dev } = facts;
    const seen = `${mtime?.getTime()} ${size} ${ino} ${dev}`;
    if (seen === this.#seen) return false;
    const text = await this.#ask((path) => this.#outside.readTextFile(path));
    const ageMs = this.#outside.now() - (mtime?.getTime() ?? Infinity);
    this.#seen = Math.abs(ageMs) < UNSETTLED_MS ? null : seen;
    const digest = createHash("sha256").update(text).digest("base64");
    if (digest === this.#digest && this.#problem === null) return false;
    const parsed = await inTurns(parseDenyList(text));
    if (parsed.kind === "mistakes") {
      const told = parsed.mistakes.slice(0, MISTAKES_TOLD);
      throw new UnusableDenyList(told.map(({ line, says }) => `${this.#path}:${line} ${says}`));
    }
    this.#denied = parsed.denied;
    this.#digest = digest;
    this.#problem = null;
    return true;
  }

  async #ask<T>(read: (path: string) => Promise<T>): Promise<T> {
    try {
      return await read(this.#path);
    } catch (error) {
      // When it is there again it may be the same as before, and is read all the same.
      this.#seen = null;
      const why = whyUnreadable(error, `--allow-read=${this.#path}`);
      throw new UnusableDenyList([`${this.#path} cannot be read: ${why}`]);
    }
  }
}
