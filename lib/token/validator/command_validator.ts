import { printable } from "../../printable.ts";
import { type After, startTimer } from "../../timers.ts";
import { TokenRefused } from "../refused_token.ts";
import type { TokenEvent } from "../token_event.ts";
import type { Answer } from "./protocol.ts";
import { programOf, type ValidatorSettings } from "./schema.ts";
import { withoutTokens } from "./standard_error.ts";
import { type Validator, ValidatorFault, type ValidatorQuestion } from "./validator.ts";
import { ValidatorProcess } from "./validator_process.ts";

/** How many questions a process may owe an answer to: what they hold of memory is a few megabytes. */
const MAX_OWED = 256;

/** Wait before the first restart; each that follows without an answer in between waits twice as long, in milliseconds. */
const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 30_000;

/** A reason is logged up to here, in characters. */
const REASON_LENGTH = 256;

/** What a validator needs from outside. */
export interface ValidatorOutside {
  /** Name of the issuer it answers for. */
  readonly issuer: string;
  /** Where it runs, and what a relative path of its program is relative to; absolute. */
  readonly directory: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly report: (event: TokenEvent) => void;
  /** Timers; those of the runtime unless given. */
  readonly after?: After;
  /** 256 unless given. */
  readonly maxOwed?: number;
}

/** The program cannot be started; the message is a sentence for the operator. */
export class CannotStart extends Error {
  override readonly name = "CannotStart";
}

/** Keeps one process of the program alive, and asks it. */
export class CommandValidator implements Validator {
  readonly #settings: ValidatorSettings;
  readonly #outside: ValidatorOutside;
  readonly #after: After;
  /** Undefined while a restart is awaited. */
  #process?: ValidatorProcess;
  /** Since the last answer. */
  #restarts = 0;
  #cancelRestart = () => {};
  #isClosed = false;

  /**
   * Starts the program.
   *
   * @throws {CannotStart} when that is not possible
   */
  constructor(settings: ValidatorSettings, outside: ValidatorOutside) {
    this.#settings = settings;
    this.#outside = outside;
    this.#after = outside.after ?? startTimer;
    this.#start();
  }

  async validate(question: ValidatorQuestion): Promise<Record<string, unknown>> {
    if (this.#process === undefined) {
      throw new TokenRefused("validator_unavailable", "The validator is to be started again in a moment");
    }
    let answer: Answer;
    try {
      answer = await this.#process.ask(question);
    } catch (error) {
      if (!(error instanceof ValidatorFault)) throw error;
      throw new TokenRefused("validator_unavailable", `The validator ${error.message}`);
    }
    this.#restarts = 0;
    return claimsOf(answer, question);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRestart();
    await this.#process?.close();
  }

  #start(): void {
    const { issuer, directory, now, report, maxOwed = MAX_OWED } = this.#outside;
    const { command: [, ...args], timeout } = this.#settings;
    const program = programOf(this.#settings, directory);
    let process: ValidatorProcess;
    try {
      process = new ValidatorProcess({
        ...{ issuer, program, args, directory, now, maxOwed },
        timeoutMs: timeout,
        after: this.#after,
        onStandardError: (line, passedOver) => report({ kind: "validator_said", issuer, line, passedOver }),
      });
    } catch (error) {
      throw new CannotStart(`${program} cannot be run: ${whyNotRun(error, program)}`);
    }
    this.#process = process;
    process.ended.then(({ message }) => this.#restart(`The validator ${message}`));
  }

  #restart(problem: string): void {
    this.#process = undefined;
    if (this.#isClosed) return;
    const delayMs = Math.min(FIRST_RESTART_MS * 2 ** this.#restarts++, LAST_RESTART_MS);
    this.#outside.report({ kind: "validator_restarting", issuer: this.#outside.issuer, problem, delayMs });
    this.#cancelRestart = this.#after(delayMs, () => {
      try {
        this.#start();
      } catch (error) {
        if (!(error instanceof CannotStart)) throw error;
        this.#restart(error.message);
      }
    });
  }
}

function claimsOf(answer: Answer, { token, nowMs }: ValidatorQuestion): Record<string, unknown> {
  if (answer.kind === "refused") {
    const { reason = "it gives no reason" } = answer;
    const says = printable(withoutTokens(reason, [token]), REASON_LENGTH);
    throw new TokenRefused("not_authorized", `The validator does not authorize it: ${says}`);
  }
  const { identity, roles, expires } = answer;
  // It runs on this machine: there are no two clocks to be apart.
  if (expires * 1000 <= nowMs) {
    throw new TokenRefused("expired", "The validator authorizes it until a time that is over");
  }
  return {
    ...(identity === undefined ? {} : { sub: identity }),
    ...(roles === undefined ? {} : { roles: [...roles] }),
    exp: expires,
  };
}

function whyNotRun(error: unknown, program: string): string {
  if (error instanceof Deno.errors.NotCapable) return `start with --allow-run=${program}`;
  if (error instanceof Deno.errors.PermissionDenied) return "this user may not execute it; change its mode";
  if (error instanceof Deno.errors.NotFound) {
    return "there is no such program; a name without a slash must be where the system's programs are";
  }
  return error instanceof Error ? error.message : String(error);
}
