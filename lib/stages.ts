import type { LoginStage } from "./observe/events.ts";

/** Takes the time of one login's stages; those that fail count too. */
export class Stages {
  readonly #now: () => number;
  readonly #beganMs: number;
  readonly #over: LoginStage[] = [];

  /** `now` is in milliseconds on a clock that only goes forward; the login begins now. */
  constructor(now: () => number) {
    this.#now = now;
    this.#beganMs = now();
  }

  /** Those that are over, in the order in which they ended. */
  get over(): readonly LoginStage[] {
    return this.#over;
  }

  /** Does what a stage consists of. */
  async time<Result>(name: LoginStage["name"], work: () => Promise<Result>): Promise<Result> {
    const startedMs = this.#now();
    try {
      return await work();
    } finally {
      const durationMs = this.#now() - startedMs;
      this.#over.push({ name, startedMs: startedMs - this.#beganMs, durationMs });
    }
  }
}
