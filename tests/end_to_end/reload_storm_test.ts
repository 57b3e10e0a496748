import assert from "node:assert/strict";
import { freePort } from "../support/free_port.ts";
import { comeAndGo, stay } from "./program_load.ts";
import { type Program, ProgramStage } from "./program_scene.ts";

const RELOADS = 200;
/** After so many the program has grown to its size. */
const WARM_AFTER = 60;

const MOST_MORE_DESCRIPTORS = 8;
const MOST_MORE_KIB = 48 * 1024;

/** Changes to a configuration that can be used, and that lets everybody in who is. */
const GOOD: readonly ((toml: string) => string)[] = [
  (toml) => toml,
  (toml) => toml.replace("[service]", 'max_token_bytes = 9000\n\n[service]\nrefresh = "1h"'),
  (toml) => toml.replace(/address = ("127.0.0.1:[1-9].*")/, 'address = [$1, "127.0.0.2:0"]'),
  (toml) => toml.replace('audience = ["pg-auth-proxy"]', 'audience = ["other", "pg-auth-proxy"]'),
  (toml) => toml.replace("[service]", "[service]\nwatch = true"),
];

/** Changes that leave nothing that can be used, and what is said of it. */
const BROKEN: readonly (readonly [(toml: string) => string, RegExp])[] = [
  [(toml) => toml + "[[rules", /this is not TOML/],
  [(toml) => toml.replace("match =", "mach ="), /mach is not a known key/],
  [(toml) => toml.replace("server.key", "missing.key"), /names missing\.key, which does not exist/],
  [(toml) => toml.replace("server.key", "other.key"), /other\.key, which is not the key of/],
  [
    (toml) => toml.replace(/address = ("127.0.0.1:[1-9].*")/, 'address = [$1, "192.0.2.1:1"]'),
    /cannot listen on/,
  ],
  [
    (toml) =>
      toml.replace(
        /\[\[issuers\]\]\nname = "corp"\nurl = .*/,
        '[[issuers]]\nname = "corp"\nurl = "https://127.0.0.1:1"',
      ),
    /url cannot be used/,
  ],
];

Deno.test("200 reloads under load, half of them of broken files: no session is lost", async (t) => {
  await using stage = await ProgramStage.open();
  const other = await stage.authority.issueForLoopback();
  await stage.directory.write("other.key", other.keyPem);
  const port = freePort();
  await using program = await stage.start({ port });
  const good = stage.configuration({ port });

  let isOver = false;
  const load = Promise.all([
    ...[0, 1, 2].map((id) => stay(stage, { id, port, isOver: () => isOver })),
    ...[0, 1].map(() => comeAndGo(stage, port, () => isOver)),
  ]);
  load.catch(() => isOver = true);

  let warm = standingOf(program);
  for (let reload = 0; reload < RELOADS && !isOver; reload++) {
    if (reload === WARM_AFTER) warm = standingOf(program);
    const from = program.log.length;
    const isBroken = reload % 2 === 1;
    const [change, says] = isBroken
      ? BROKEN[(reload >> 1) % BROKEN.length]
      : [GOOD[(reload >> 1) % GOOD.length], /info configuration reloaded /];
    await stage.directory.write("config.toml", change(good));
    program.signal("SIGHUP");
    const [told] = await program.logged(
      /(info configuration reloaded|error configuration not reloaded).*\n/,
      from,
    );
    assert.match(told, says);
  }
  const end = standingOf(program);
  isOver = true;
  const transactions = (await load).reduce((sum, one) => sum + one, 0);

  await t.step("everybody was served all the time", () => {
    assert.ok(transactions > 200, `${transactions} transactions`);
  });
  await t.step("it holds no more files and memory than before", () => {
    const told = `${JSON.stringify(warm)}, then ${JSON.stringify(end)}`;
    assert.ok(end.descriptors <= warm.descriptors + MOST_MORE_DESCRIPTORS, told);
    assert.ok(end.residentKib <= warm.residentKib + MOST_MORE_KIB, told);
  });
  program.signal("SIGTERM");
  assert.equal((await program.ended()).code, 0);
});

/** What the program holds, by the system's word. */
function standingOf({ pid }: Program): { readonly descriptors: number; readonly residentKib: number } {
  const descriptors = [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
  return { descriptors, residentKib: Number(kib) };
}
