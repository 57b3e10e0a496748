import { resolve } from "node:path";
import { reasonOf } from "../config/named_file.ts";
import { Secret } from "../secret.ts";
import { StartError } from "./load.ts";

/** Where a token may be read from. */
export interface TokenPlace {
  /** Written on the command line. */
  readonly token?: string;
  /** Path of a file. */
  readonly tokenFile?: string;
}

const VISIBLE =
  "everybody on this machine can read a token on the command line: give it by standard input or --token-file";

/**
 * The token to explain: of the command line, of a file, or else of standard input.
 *
 * @throws {StartError} when there is none
 */
export async function readToken({ token, tokenFile }: TokenPlace): Promise<Secret> {
  const text = token ?? (tokenFile === undefined ? await readInput() : await readFile(tokenFile));
  // It stays in the shell's history, too.
  if (token !== undefined) console.error(`warning: ${VISIBLE}`);
  if (text.trim() !== "") return new Secret(text.trim());
  const place = tokenFile === undefined ? "standard input has" : `${tokenFile} has`;
  throw new StartError(`there is no token: ${token === undefined ? place : "--token has"} nothing in it`);
}

async function readInput(): Promise<string> {
  if (Deno.stdin.isTerminal()) console.error("Write the token here, then Enter and Ctrl-D:");
  return await new Response(Deno.stdin.readable).text();
}

async function readFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new StartError(`--token-file names ${path}, ${reasonOf(error, `--allow-read=${resolve(path)}`)}`);
  }
}
