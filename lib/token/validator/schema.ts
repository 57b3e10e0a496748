import { resolve } from "node:path";
import * as v from "valibot";
import { duration } from "../../duration.ts";

const COMMAND =
  '"command" must be an array of text: the program, then each of its arguments; no shell splits it';

/** The table `validator` of an issuer: a program that says whether tokens are good. */
export const validatorSchema = v.strictObject({
  /** The program, a path if it has a slash, and its arguments: everyone on the machine can read those. */
  command: v.pipe(
    v.array(v.string(COMMAND), COMMAND),
    v.check(([program]) => program !== undefined && program !== "", '"command" must name a program'),
    v.check(
      (words) => words.every((word) => !word.includes("\0")),
      '"command" must not have a NUL in it',
    ),
    v.description("name the program to ask, and its arguments"),
  ),
  /** How long a login waits for its answer, in milliseconds. */
  timeout: v.optional(duration({ minMs: 100, maxMs: 60_000 }), "5s"),
});

/** The table as read. */
export type ValidatorSettings = v.InferOutput<typeof validatorSchema>;

/** What is run: a name without a slash is looked for where the system's programs are, a path begins at `directory`. */
export function programOf({ command: [program] }: ValidatorSettings, directory: string): string {
  return program.includes("/") ? resolve(directory, program) : program;
}
