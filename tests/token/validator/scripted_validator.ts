import { TokenRefused } from "../../../lib/token/refused_token.ts";
import type { TokenEvent } from "../../../lib/token/token_event.ts";
import { CommandValidator } from "../../../lib/token/validator/command_validator.ts";
import { type TempDirectory, tempDirectory } from "../../support/temp_directory.ts";
import { waitUntil } from "../../support/wait_until.ts";

/** The moment of every question, in milliseconds since 1970. */
export const NOW_MS = Date.UTC(2026, 10, 21);

/** The `timeout` of every scripted validator, in milliseconds. */
export const TIMEOUT_MS = 5_000;

/** Good until an hour from {@link NOW_MS}. */
export const EXPIRES = NOW_MS / 1000 + 3600;

interface Timer {
  readonly delayMs: number;
  readonly callback: () => void;
}

/** Timers that fire when the test says so. */
export class ManualTimers {
  readonly #waiting: Timer[] = [];

  readonly after = (delayMs: number, callback: () => void): () => void => {
    const timer = { delayMs, callback };
    this.#waiting.push(timer);
    return () => this.#remove(timer);
  };

  /** Waits for a timer of this delay, and fires the oldest. */
  async fire(delayMs: number): Promise<void> {
    const timer = await waitUntil(() => this.#waiting.find((one) => one.delayMs === delayMs), {
      what: `a timer of ${delayMs} ms`,
    });
    this.#remove(timer);
    timer.callback();
  }

  #remove(timer: Timer): void {
    const at = this.#waiting.indexOf(timer);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

/** A validator whose program is a shell script of the test's. */
export interface ScriptedValidator extends AsyncDisposable {
  readonly validator: CommandValidator;
  readonly timers: ManualTimers;
  readonly events: TokenEvent[];
  /** Where it runs. */
  readonly directory: TempDirectory;
  validate(token?: string): Promise<Record<string, unknown>>;
  /** The refusal of a question, as `fault: message`; what was not refused is shown as it is. */
  refusal(token?: string): Promise<string>;
  /** The problem and the delay of each restart so far, once there are so many. */
  restarts(count: number): Promise<readonly string[]>;
}

/** Runs a script by `/bin/sh`. */
export async function scripted(
  script: string,
  { maxOwed, now = () => NOW_MS }: { maxOwed?: number; now?: () => number } = {},
): Promise<ScriptedValidator> {
  const directory = await tempDirectory();
  const timers = new ManualTimers();
  const events: TokenEvent[] = [];
  const validator = new CommandValidator({
    command: ["/bin/sh", await directory.write("script", script)],
    timeout: TIMEOUT_MS,
  }, {
    issuer: "legacy",
    directory: directory.path,
    now,
    report: (event) => events.push(event),
    after: timers.after,
    maxOwed,
  });
  const validate = (token = "an-opaque-token") => {
    const answered = validator.validate({ token, nowMs: NOW_MS });
    answered.catch(() => {}); // a test may look at it later
    return answered;
  };
  const restarts = () =>
    events.flatMap((event) => {
      return event.kind === "validator_restarting" ? [`${event.problem}, ${event.delayMs} ms`] : [];
    });
  return {
    validator,
    timers,
    events,
    directory,
    validate,
    refusal: (token) => refusalOf(validate(token)),
    async restarts(count) {
      await waitUntil(() => restarts().length >= count, { what: `${count} restarts` });
      return restarts();
    },
    async [Symbol.asyncDispose]() {
      await validator.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** A refusal as `fault: message`; what was not refused as it is. */
export async function refusalOf(answered: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await answered);
  } catch (error) {
    if (error instanceof TokenRefused) return `${error.fault}: ${error.message}`;
    throw error;
  }
}

/** A loop that has the question in `$question`, and its id in `$id`. */
export function loop(body: string): string {
  return `
while IFS= read -r question; do
  id=\${question#*'"id":'}; id=\${id%%,*}
  ${body}
done
`;
}

/** A command that answers question `id` (of the shell's `$id` unless given) with these members. */
export function say(members: Readonly<Record<string, unknown>>, id: string | number = "$id"): string {
  const rest = JSON.stringify(members).slice(1).replaceAll(/["\\$`]/g, "\\$&");
  return `printf '%s\\n' "{\\"id\\":${id},${rest}"`;
}

/** Authorizes an identity for an hour. */
export function good(identity: string): Readonly<Record<string, unknown>> {
  return { authorized: true, identity, expires: EXPIRES };
}
