import assert from "node:assert/strict";
import type { ProgramStage } from "./program_scene.ts";

/** A session that lasts through all of it; gives how many transactions it has had. */
export async function stay(
  stage: ProgramStage,
  { id, port, isOver }: { readonly id: number; readonly port: number; readonly isOver: () => boolean },
): Promise<number> {
  await using client = await stage.client(port);
  let transactions = 0;
  for (; !isOver(); transactions++) {
    await client.ask("begin");
    await client.ask(`insert into done values ('stayed ${id} ${transactions}')`);
    await client.ask("commit");
  }
  assert.equal((await stage.done(`stayed ${id} `)).length, transactions);
  return transactions;
}

/** One login behind the other; gives how many there were. */
export async function comeAndGo(stage: ProgramStage, port: number, isOver: () => boolean): Promise<number> {
  let logins = 0;
  for (; !isOver(); logins++) {
    await using client = await stage.client(port);
    await client.ask("select 1");
  }
  return logins;
}
