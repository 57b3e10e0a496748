import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The proxy as somebody might run it: with other flags of the runtime, another environment, or from another checkout. */
export interface Variant {
  readonly name: string;
  /** The checkout's root. */
  readonly directory: string;
  /** The words of the checkout's own `deno task start`, without `deno`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Reads a variant as it would be typed: `NAME=value` for the environment, `--flag` for `deno run`, anything else is the
 * directory of a checkout. No word at all is the proxy as it is. A flag replaces the task's own of the same name.
 */
export async function readVariant(text: string): Promise<Variant> {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const flags = words.filter((word) => word.startsWith("-"));
  const assignments = words.filter((word) => /^[A-Z_]+=/.test(word));
  const directories = words.filter((word) => !flags.includes(word) && !assignments.includes(word));
  const directory = resolve(directories[0] ?? ROOT);
  const task = await startTask(directory);
  return {
    name: ["proxy", ...assignments, ...flags.map(shortened), ...directories.map((path) => basename(path))]
      .join(" "),
    directory,
    args: withFlags(task.args, flags),
    env: Object.fromEntries([...task.assignments, ...assignments].map((word) => splitOnce(word))),
  };
}

/** The environment and the arguments of `deno task start`. */
async function startTask(directory: string): Promise<{ assignments: string[]; args: string[] }> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${directory}/deno.json`));
  const task: string | { command: string } = tasks.start;
  const words = (typeof task === "string" ? task : task.command).split(" ");
  const program = words.indexOf("deno");
  if (words[program + 1] !== "run") throw new Error("The task start is no deno run");
  return { assignments: words.slice(0, program), args: words.slice(program + 1) };
}

function withFlags([run, ...args]: readonly string[], flags: readonly string[]): string[] {
  const names = flags.map((flag) => flag.split("=")[0]);
  const isKept = (word: string) => !names.includes(word.split("=")[0]);
  return [run, ...flags, ...args.filter(isKept)];
}

function shortened(flag: string): string {
  return flag.replace(/^--v8-flags=/, "");
}

function splitOnce(word: string): [string, string] {
  const at = word.indexOf("=");
  return [word.slice(0, at), word.slice(at + 1)];
}
