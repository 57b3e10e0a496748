import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { AskedOfUs } from "../../../lib/token/presentation.ts";
import { CommandValidator } from "../../../lib/token/validator/command_validator.ts";
import { type TempDirectory, tempDirectory } from "../../support/temp_directory.ts";
import { EXPIRES, NOW_MS, refusalOf } from "./scripted_validator.ts";

const EXAMPLES = fileURLToPath(new URL("../../../examples/validators/", import.meta.url));
const HMAC = { name: "HMAC", hash: "SHA-256" };
const KEY = "k".repeat(32);

/** Asks a program once for each token, all at the same time. */
async function ask(
  command: string[],
  { directory, tokens, asked }: { directory: TempDirectory; tokens: readonly string[]; asked?: AskedOfUs },
): Promise<readonly string[]> {
  const report = (event: unknown) => assert.fail(JSON.stringify(event));
  const validator = new CommandValidator({ command, timeout: 20_000 }, {
    ...{ issuer: "legacy", directory: directory.path, now: () => NOW_MS, report },
  });
  try {
    return await Promise.all(
      tokens.map((token) => refusalOf(validator.validate({ token, asked, nowMs: NOW_MS }))),
    );
  } finally {
    await validator.close();
  }
}

const hasJq = await hasProgram("jq");

Deno.test({
  name: "the validator in a shell knows the tokens of its file, byte by byte",
  ignore: !hasJq,
  async fn() {
    await using directory = await tempDirectory();
    const entries: Record<string, unknown> = {
      [await sha256("token-of-alice")]: { identity: "alice", roles: ["reporting"], expires: EXPIRES },
      [await sha256("pseudonym")]: { roles: ["reporting"], expires: EXPIRES },
      [await sha256("over")]: { identity: "bob", expires: NOW_MS / 1000 - 1 },
    };
    await directory.write("tokens.json", JSON.stringify(entries));
    const noSuchToken = "not_authorized: The validator does not authorize it: no such token";
    const answers = await ask([`${EXAMPLES}check_token.sh`, "tokens.json"], {
      directory,
      tokens: [
        "token-of-alice",
        "pseudonym",
        "over",
        "token-of-alic",
        "token-of-alice\n",
        "$(touch x)`touch x`",
        "'\"\\",
      ],
    });
    assert.deepEqual(answers, [
      JSON.stringify({ sub: "alice", roles: ["reporting"], exp: EXPIRES }),
      JSON.stringify({ roles: ["reporting"], exp: EXPIRES }),
      "expired: The validator authorizes it until a time that is over",
      ...Array(4).fill(noSuchToken),
    ]);
    await assert.rejects(Deno.stat(`${directory.path}/x`), Deno.errors.NotFound);
  },
});

Deno.test("the validator in TypeScript checks the signature, and the database asked for", async () => {
  await using directory = await tempDirectory();
  await directory.write("token.key", KEY);
  const payload = { user: "alice", databases: ["orders"], roles: ["reporting"], until: EXPIRES };
  const good = await sign(payload);
  const [body, signature] = good.split(".");
  const forged = base64Url(new TextEncoder().encode(JSON.stringify({ ...payload, user: "root" })));
  const notOurs = "not_authorized: The validator does not authorize it: not a token of ours";
  const answers = await ask(
    [
      Deno.execPath(),
      "run",
      "--no-prompt",
      "--allow-read=token.key",
      `${EXAMPLES}check_token.ts`,
      "token.key",
    ],
    {
      directory,
      asked: { user: "alice", database: "orders", clientAddress: "192.0.2.1" },
      tokens: [
        good,
        await sign({ ...payload, databases: ["payroll"] }),
        `${forged}.${signature}`,
        `${body}.${"A".repeat(43)}`,
        `${body}.`,
        `${good}.${signature}`,
        `${good}=`,
        "",
      ],
    },
  );
  assert.deepEqual(answers, [
    JSON.stringify({ sub: "alice", roles: ["reporting"], exp: EXPIRES }),
    "not_authorized: The validator does not authorize it: not for the database, but for payroll",
    ...Array(6).fill(notOurs),
  ]);
});

async function sign(payload: unknown): Promise<string> {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(KEY), HMAC, false, ["sign"]);
  const body = base64Url(new TextEncoder().encode(JSON.stringify(payload)));
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(body));
  return `${body}.${base64Url(new Uint8Array(signature))}`;
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

function base64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

async function hasProgram(name: string): Promise<boolean> {
  try {
    return (await new Deno.Command(name, { args: ["--version"], stdin: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
