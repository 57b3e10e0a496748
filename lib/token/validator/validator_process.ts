import type { After } from "../../timers.ts";
import { linesOf } from "./lines.ts";
import { type Answer, MAX_ANSWER_BYTES, parseAnswer, questionLine } from "./protocol.ts";
import { StandardError } from "./standard_error.ts";
import { ValidatorFault, type ValidatorQuestion } from "./validator.ts";

/** How long a process may take to leave once its input is closed, or its output has ended, in milliseconds. */
const LEAVE_WITHIN_MS = 1_000;

/** What is run, and how it is dealt with. */
export interface ProcessOptions {
  readonly issuer: string;
  /** Absolute, or a name that is looked for in {@link PATH}. */
  readonly program: string;
  readonly args: readonly string[];
  /** Where it runs. */
  readonly directory: string;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How many questions it may owe an answer to. */
  readonly maxOwed: number;
  readonly now: () => number;
  readonly after: After;
  /** Told of a line on its standard error, and how many were passed over before it. */
  readonly onStandardError: (line: string, passedOver: number) => void;
}

/** The one variable in a validator's environment. */
export const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A login that waits. */
interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (fault: ValidatorFault) => void;
  readonly stopTimer: () => void;
}

/** One life of the program, from its start to its end. What it answers after a fault is not listened to. */
export class ValidatorProcess {
  readonly #options: ProcessOptions;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  readonly #standardError: StandardError;
  /** By the id of the question; null: nobody waits for the answer any more. */
  readonly #owed = new Map<number, Waiting | null>();
  #lastId = 0;
  /** Answers so far. */
  #heard = 0;
  /** Why nothing is asked any more. */
  #fault?: ValidatorFault;
  /** Settles when nothing is left of it, with what it has done wrong, if only to end. */
  readonly ended: Promise<ValidatorFault>;

  /** @throws {Error} of `Deno.Command` when the program cannot be started */
  constructor(options: ProcessOptions) {
    this.#options = options;
    this.#child = new Deno.Command(options.program, {
      args: [...options.args],
      cwd: options.directory,
      // Passwords may be in ours.
      clearEnv: true,
      env: { PATH },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.getReader();
    const { maxOwed, now, onStandardError } = options;
    this.#standardError = new StandardError({ remembers: maxOwed, now, report: onStandardError });
    this.ended = this.#live();
  }

  /** @throws {ValidatorFault} when there is no answer that can be believed */
  ask(question: ValidatorQuestion): Promise<Answer> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    const { maxOwed, issuer, timeoutMs, after } = this.#options;
    if (this.#owed.size >= maxOwed) {
      return Promise.reject(new ValidatorFault(`owes ${maxOwed} answers already`));
    }
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const heardBefore = this.#heard;
    const stopTimer = after(timeoutMs, () => this.#overdue(id, heardBefore));
    this.#owed.set(id, { resolve, reject, stopTimer });
    this.#standardError.expect(question.token);
    // A pipe that nobody reads fills: what waits to be written is bounded by the questions it may owe.
    this.#writer.write(new TextEncoder().encode(questionLine(id, { ...question, issuer })))
      // What it has answered before it left is still in the other pipe: that ends by itself now.
      .catch(() => this.#kill());
    return promise;
  }

  /** Closes its input and waits until it has left; it is killed if that takes more than a second. */
  async close(): Promise<void> {
    this.#refuseAll(new ValidatorFault("is being closed"));
    this.#writer.close().catch(() => {});
    const stopTimer = this.#options.after(
      LEAVE_WITHIN_MS,
      () => this.#fail(new ValidatorFault("has not left")),
    );
    await this.ended;
    stopTimer();
  }

  async #live(): Promise<ValidatorFault> {
    const errorReader = this.#child.stderr.getReader();
    const errorRead = this.#standardError.read(errorReader);
    await this.#hear();
    const { after } = this.#options;
    const stopKill = after(LEAVE_WITHIN_MS, () => this.#kill());
    const { code, signal } = await this.#child.status;
    stopKill();
    const ending = signal === null ? `has exited with code ${code}` : `was ended by ${signal}`;
    this.#refuseAll(new ValidatorFault(ending));
    // A process of its own making may hold on to the pipes: that is not to hold up the restart.
    const stopCancel = after(LEAVE_WITHIN_MS, () => void errorReader.cancel());
    await errorRead;
    stopCancel();
    const abandoned = Promise.withResolvers<void>();
    const stopWaiting = after(LEAVE_WITHIN_MS, abandoned.resolve);
    await Promise.race([this.#writer.abort().catch(() => {}), abandoned.promise]);
    stopWaiting();
    return this.#fault!;
  }

  /** Listens until the output ends, or cannot be believed. */
  async #hear(): Promise<void> {
    const onLong = () => {
      throw new ValidatorFault(`has written a line of more than ${MAX_ANSWER_BYTES} bytes`);
    };
    try {
      for await (const line of linesOf(this.#output, { maxBytes: MAX_ANSWER_BYTES, onLong })) {
        this.#take(line);
      }
    } catch (error) {
      if (!(error instanceof ValidatorFault)) throw error;
      this.#fail(error);
    }
  }

  #take(line: Uint8Array): void {
    const { id, answer } = parseAnswer(line);
    const waiting = this.#owed.get(id);
    if (waiting === undefined) throw new ValidatorFault("has answered a question that it does not owe");
    this.#owed.delete(id);
    this.#heard++;
    waiting?.stopTimer();
    waiting?.resolve(answer);
  }

  /** One that has answered others meanwhile is at work, and another login's slow token must not cost them theirs. */
  #overdue(id: number, heardBefore: number): void {
    const fault = new ValidatorFault(`has not answered within ${this.#options.timeoutMs} ms`);
    this.#owed.get(id)?.reject(fault);
    // The id stays: should an answer come, it is known and dropped.
    this.#owed.set(id, null);
    const overdue = [...this.#owed.values()].filter((waiting) => waiting === null).length;
    if (this.#heard === heardBefore) this.#fail(fault);
    else if (overdue > this.#options.maxOwed / 2) {
      this.#fail(new ValidatorFault("leaves questions unanswered"));
    }
  }

  #fail(fault: ValidatorFault): void {
    this.#refuseAll(fault);
    this.#kill();
    this.#output.cancel().catch(() => {});
  }

  #refuseAll(fault: ValidatorFault): void {
    this.#fault ??= fault;
    for (const waiting of this.#owed.values()) {
      waiting?.stopTimer();
      waiting?.reject(fault);
    }
    this.#owed.clear();
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}
