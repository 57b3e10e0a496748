import { resolve } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import { WatchedFiles, type WatchingOutside } from "./watched_files.ts";

/** What asks for a reload besides people: the time, and changed files, as far as the configuration wants it. */
export class ReloadTriggers implements Disposable {
  readonly #reload: () => void;
  readonly #outside: WatchingOutside;
  #stopTimer: () => void = () => {};
  #files: WatchedFiles | null = null;

  constructor(reload: () => void, outside: WatchingOutside) {
    this.#reload = reload;
    this.#outside = outside;
  }

  /** Goes by this configuration from now on; `readAtMs` is when it began to be read, in milliseconds since 1970. */
  follow(configuration: Configuration, readAtMs: number): void {
    const { refresh, watch } = configuration.service;
    this[Symbol.dispose]();
    if (refresh > 0) this.#startTimer(refresh);
    if (!watch) return;
    const about = { paths: watchedPaths(configuration), readAtMs, changed: this.#reload };
    this.#files = new WatchedFiles(about, this.#outside);
  }

  [Symbol.dispose](): void {
    this.#stopTimer();
    this.#files?.[Symbol.dispose]();
    this.#files = null;
  }

  /** It goes on whatever becomes of a reload. */
  #startTimer(periodMs: number): void {
    this.#stopTimer = this.#outside.after(periodMs, () => {
      this.#startTimer(periodMs);
      this.#reload();
    });
  }
}

/** Deny lists are read again by themselves, and may change every minute. */
function watchedPaths({ files, issuers, directory }: Configuration): readonly string[] {
  const denyLists = issuers.flatMap(({ deny_list }) =>
    deny_list === undefined ? [] : resolve(directory, deny_list)
  );
  return files.filter((path) => !denyLists.includes(path));
}
