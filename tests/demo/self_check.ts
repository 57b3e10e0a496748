import type { ProxyProcess } from "./proxy_process.ts";
import { psqlLine, runPsqlLine } from "./psql_line.ts";
import type { Stage, Tell } from "./stage.ts";
import { tryToVisit, visit } from "./visit.ts";
import { type Visitor, VISITORS } from "./visitors.ts";

/** Something that the demo has found not to be as it must. */
export class CheckFailed extends Error {
  override readonly name = "CheckFailed";
}

/** A stage as far as it is checked. */
export interface CheckedStage extends Omit<Stage, "proxy"> {
  readonly proxy: Pick<ProxyProcess, "logLength" | "reasonSince">;
}

/**
 * Logs every visitor in and shows who they are there; by psql too, if there is one.
 *
 * @throws {CheckFailed} when a role, the database or TLS on either side is not as it must be
 */
export async function checkLogins(
  stage: CheckedStage,
  { tell, hasPsql }: { tell: Tell; hasPsql: boolean },
): Promise<void> {
  for (const visitor of VISITORS) {
    const token = await stage.tokens.read(visitor);
    const seen = await visit({ ...stage, port: stage.proxyPort, user: visitor.user, token });
    tell(`   ${visitor.name} asks for the user ${visitor.user}`);
    tell(
      `     current_user ${seen.currentUser}, session_user ${seen.sessionUser}, database ${seen.database}`,
    );
    tell(`     system_user  ${seen.systemUser}`);
    tell(
      `     TLS          client to proxy ${seen.clientTls}; proxy to backend ${seen.backendTls ?? "none"}`,
    );
    expect(`The role of ${visitor.name}`, seen.currentUser, visitor.role);
    expect(`The session's role of ${visitor.name}`, seen.sessionUser, visitor.role);
    expect(`The login at the backend of ${visitor.name}`, seen.systemUser, `scram-sha-256:${visitor.role}`);
    expect("The database", seen.database, "shop");
    if (!seen.clientTls.startsWith("TLSv1.")) {
      throw new CheckFailed("The client's connection is not inside TLS");
    }
    if (!seen.backendTls?.startsWith("TLSv1.")) {
      throw new CheckFailed("The backend's connection is not inside TLS");
    }
    if (!hasPsql) continue;
    const printed = await runPsqlLine(psqlLine(stage, visitor), "SELECT current_user");
    tell(`     psql says    ${printed}`);
    expect(`The role of ${visitor.name} by psql`, printed, visitor.role);
  }
}

/**
 * Has logins refused and shows what the client reads, and what only the log says.
 *
 * @throws {CheckFailed} when one of them is let in, or is told more than it should be
 */
export async function checkRefusals(stage: CheckedStage, tell: Tell): Promise<void> {
  const [alice] = VISITORS;
  const token = await stage.tokens.read(alice);
  await checkRefusal(stage, {
    tell,
    what: "alice, with one character of the token's signature changed",
    visitor: alice,
    token: tampered(token),
  });
  await checkRefusal(stage, {
    tell,
    what: "alice, with a good token, asking for the user shop_owner",
    visitor: { ...alice, user: "shop_owner" },
    token,
  });
}

interface Refusal {
  readonly tell: Tell;
  readonly what: string;
  readonly visitor: Visitor;
  readonly token: string;
}

async function checkRefusal(
  stage: CheckedStage,
  { tell, what, visitor: { user }, token }: Refusal,
): Promise<void> {
  const { logLength } = stage.proxy;
  const read = await tryToVisit({ ...stage, port: stage.proxyPort, user, token });
  if (read === undefined) throw new CheckFailed(`The proxy let in ${what}`);
  tell(`   ${what}`);
  tell(`     the client reads  ${read}`);
  const reason = await stage.proxy.reasonSince(logLength);
  tell(`     the log says      ${reason.replaceAll("; ", `;\n${" ".repeat(23)}`)}`);
  const expected = `FATAL: token authentication failed for user "${user}" (SQLSTATE 28P01)`;
  expect("What the client reads", read, expected);
}

function tampered(token: string): string {
  const at = token.lastIndexOf(".") + 1;
  return token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
}

function expect(what: string, actual: string, expected: string): void {
  if (actual !== expected) throw new CheckFailed(`${what} is ${actual}, it should be ${expected}`);
}
