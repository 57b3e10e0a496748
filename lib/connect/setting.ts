import { PgError } from "../errors.ts";
import { Mistake } from "../mistake.ts";
import { SQLSTATE } from "../sqlstate.ts";

/** What a backend may be told of the session it serves. */
export interface SessionFacts {
  /** Empty where there is none, as all that may be missing. */
  readonly identity: string;
  readonly issuer: string;
  readonly token_id: string;
  readonly client_address: string;
  readonly rule: string;
  /** The user the client asked for. */
  readonly user: string;
}

type Fact = keyof SessionFacts;

/** The value of a run-time parameter: text, and facts in their places. */
export type Setting = readonly (string | { readonly fact: Fact })[];

const FACTS: readonly Fact[] = ["identity", "issuer", "token_id", "client_address", "rule", "user"];

/** PostgreSQL cuts a longer application_name itself (NAMEDATALEN - 1), but tells the client so in a notice. */
const APPLICATION_NAME_MAX_BYTES = 63;

/**
 * The value of the run-time parameter `name`: `{identity}` and its like are facts of the session, `{{` and `}}` braces.
 *
 * Facts stand only where a server takes them as they are and does nothing with them: in application_name, and in custom
 * settings, which have a dot in their name. In `search_path` or `role` a claim could choose what the session may do.
 *
 * @throws {Mistake} when it is not such a value
 */
export function parseSetting(name: string, text: string): Setting {
  if (text.includes("\0")) throw new Mistake("must not hold a zero byte");
  const parts: (string | { readonly fact: Fact })[] = [];
  for (const [token] of text.matchAll(/\{\{|\}\}|\{\w*\}|[{}]|[^{}]+/g)) {
    if (token === "{{" || token === "}}") parts.push(token[0]);
    else if (!/[{}]/.test(token)) parts.push(token);
    else parts.push({ fact: factNamed(token) });
  }
  if (!mayTell(name) && parts.some((part) => typeof part !== "string")) {
    throw new Mistake("cannot hold {…}: only application_name and settings with a dot in their name can");
  }
  return parts;
}

/**
 * The value for one session. What tells who somebody is, is told whole or not at all: an altered one would be somebody
 * else's. Only application_name, which is for people to read, is cut at the 63 bytes that PostgreSQL keeps of it.
 *
 * @throws {PgError} 28000 when a fact holds control characters or half a surrogate pair
 */
export function fillSetting(name: string, setting: Setting, facts: SessionFacts): string {
  let value = "";
  for (const part of setting) {
    if (typeof part !== "string" && !isPlain(facts[part.fact])) throw unfit(name, part.fact);
    value += typeof part === "string" ? part : facts[part.fact];
  }
  return isApplicationName(name) ? firstBytes(value, APPLICATION_NAME_MAX_BYTES) : value;
}

function factNamed(token: string): Fact {
  const fact = FACTS.find((known) => token === `{${known}}`);
  if (fact !== undefined) return fact;
  const known = FACTS.map((known) => `{${known}}`).join(", ");
  throw new Mistake(`holds ${token}, which is none of ${known}: write {{ and }} for braces`);
}

function mayTell(name: string): boolean {
  return isApplicationName(name) || name.includes(".");
}

function isApplicationName(name: string): boolean {
  return name.toLowerCase() === "application_name";
}

/** A newline in a claim could begin a line of its own in whatever log or file the setting is written to. */
function isPlain(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text);
}

/** Whole characters only. */
function firstBytes(text: string, maxBytes: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxBytes));
  return text.slice(0, read);
}

function unfit(name: string, fact: Fact): PgError {
  return new PgError(SQLSTATE.invalidAuthorizationSpecification, "login refused", {
    reason: `the setting ${name} would tell the ${fact}, which holds control characters or broken Unicode`,
  });
}
