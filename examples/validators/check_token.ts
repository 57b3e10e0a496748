// A validator for pg-auth-proxy: checks tokens of an in-house service, signed by HMAC with a key that both know.
//
//   [issuers.validator]
//   command = ["/usr/local/bin/deno", "run", "--no-prompt", "--allow-read=token.key", "check_token.ts", "token.key"]
//
// A token is base64url(payload) "." base64url(HMAC-SHA-256 of that text), and its payload
//
//   { "user": "alice", "databases": ["orders"], "roles": ["reporting"], "until": 1893456000 }

import process from "node:process";
import { createInterface } from "node:readline";

/** What the proxy asks. */
interface Question {
  readonly id: number;
  readonly token: string;
  readonly database: string | null;
}

interface Payload {
  readonly user: string;
  readonly databases: readonly string[];
  readonly roles: readonly string[];
  readonly until: number;
}

const HMAC = { name: "HMAC", hash: "SHA-256" };
const secret = await Deno.readFile(Deno.args[0]);
const key = await crypto.subtle.importKey("raw", secret, HMAC, false, ["verify"]);

/** What the token says, if the service has signed it. Nothing of it is looked at before that is known. */
async function readToken(token: string): Promise<Payload | undefined> {
  const [, payload, signature] = /^([\w-]+)\.([\w-]{43})$/.exec(token) ?? [];
  if (payload === undefined) return undefined;
  const signed = new TextEncoder().encode(payload);
  const isGood = await crypto.subtle.verify(HMAC, key, fromBase64Url(signature), signed);
  return isGood ? JSON.parse(new TextDecoder().decode(fromBase64Url(payload))) : undefined;
}

async function answer({ id, token, database }: Question) {
  const payload = await readToken(token);
  // The reason is for the proxy's log: never put the token into it, nor on standard error.
  if (payload === undefined) return { id, authorized: false, reason: "not a token of ours" };
  const { user, databases, roles, until } = payload;
  if (database === null || !databases.includes(database)) {
    return { id, authorized: false, reason: `not for the database, but for ${databases.join(", ")}` };
  }
  return { id, authorized: true, identity: user, roles, expires: until };
}

function fromBase64Url(text: string) {
  return Uint8Array.fromBase64(text, { alphabet: "base64url" });
}

// Nobody waits for the one before: answers carry the id of their question, and may come in any order.
for await (const line of createInterface({ input: process.stdin })) {
  answer(JSON.parse(line)).then((said) => console.log(JSON.stringify(said)));
}
