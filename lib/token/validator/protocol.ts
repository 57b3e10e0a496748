import * as v from "valibot";
import { parseStrictJsonObject } from "../strict_json.ts";
import { ValidatorFault, type ValidatorQuestion } from "./validator.ts";

/** Longest line an answer may be, in bytes. */
export const MAX_ANSWER_BYTES = 64 * 1024;

/** What a validator says of one token. */
export type Answer =
  | {
    readonly kind: "authorized";
    /** Undefined: it answers for the bearer without saying who that is. */
    readonly identity?: string;
    readonly roles?: readonly string[];
    /** Seconds since 1970. */
    readonly expires: number;
  }
  | { readonly kind: "refused"; readonly reason?: string };

/** A question as one line, its newline included: JSON escapes whatever a token or a name holds of those. */
export function questionLine(
  id: number,
  { issuer, token, asked }: ValidatorQuestion & { issuer: string },
): string {
  const question = {
    id,
    issuer,
    token,
    user: asked?.user ?? null,
    database: asked?.database ?? null,
    client_address: asked?.clientAddress ?? null,
    server_name: asked?.serverName ?? null,
  };
  return `${JSON.stringify(question)}\n`;
}

// To `null` a member is to leave it out: jq and most serializers write it so.
const answerSchema = v.strictObject({
  id: v.pipe(v.number(), v.safeInteger()),
  authorized: v.boolean(),
  identity: v.nullish(v.pipe(v.string(), v.nonEmpty())),
  roles: v.nullish(v.array(v.pipe(v.string(), v.nonEmpty()))),
  expires: v.nullish(v.pipe(v.number(), v.finite(), v.gtValue(0))),
  reason: v.nullish(v.string()),
});

/**
 * The answer that a line holds, and to which question.
 *
 * @throws {ValidatorFault} when it is anything else: a member missing, of another type, or not of the protocol
 */
export function parseAnswer(line: Uint8Array): { readonly id: number; readonly answer: Answer } {
  const { id, authorized, identity, roles, expires, reason } = read(line);
  if (!authorized) return { id, answer: { kind: "refused", reason: reason ?? undefined } };
  // A session without an end is never what was meant.
  if (expires == null) throw new ValidatorFault('has authorized a login without "expires"');
  return {
    id,
    answer: { kind: "authorized", identity: identity ?? undefined, roles: roles ?? undefined, expires },
  };
}

function read(line: Uint8Array): v.InferOutput<typeof answerSchema> {
  let value: unknown;
  try {
    value = parseStrictJsonObject(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ValidatorFault("has written a line that is not one JSON object");
  }
  const { success, output, issues } = v.safeParse(answerSchema, value);
  if (success) return output;
  // Only names of ours: those of an unknown member are the program's, and could be anything.
  const name = issues[0].path?.[0]?.key;
  throw new ValidatorFault(
    typeof name === "string" && Object.hasOwn(answerSchema.entries, name)
      ? `has answered with a wrong or missing "${name}"`
      : "has answered with a member that the protocol does not have",
  );
}
