import { Barrier } from "./barrier.ts";
import type { Running } from "./contender.ts";
import type { PgbenchResult } from "./pgbench_result.ts";
import { Player, type PlayerRun } from "./player.ts";
import { shuffled } from "./rounds.ts";
import type { Stage } from "./stage.ts";

/** How pgbench is run through everyone. */
export interface TurnsRun extends PlayerRun {
  /** Of all the turns of one contender. */
  readonly seconds: number;
}

/** How long a turn is. What else the machine does lasts for longer, and so falls on all alike. */
const TURN_MS = 100;

/**
 * Runs pgbench's built-in select-only script through all contenders; resolves with what each gave. A pgbench for each logs
 * in; then they are stopped, and have short turns, one behind the other, until each has had its seconds. Who comes behind whom
 * changes all the time: one finds in the caches what the one before has left there. Logins count for nothing.
 */
export async function pgbenchInTurns(
  stage: Stage,
  contenders: readonly Running[],
  run: TurnsRun,
): Promise<PgbenchResult[]> {
  await using players = new AsyncDisposableStack();
  const all = await seat(stage, { contenders, run, players });
  const laps = Math.ceil(run.seconds * 1000 / TURN_MS);
  for (let lap = 0; lap < laps; lap++) {
    for (const player of shuffled(all)) await player.play(TURN_MS);
  }
  return await Promise.all(all.map((player) => player.end()));
}

/** Has everyone's clients log in and ask, and stops them before they are answered. */
async function seat(
  stage: Stage,
  { contenders, run: { protocol, clients }, players }: {
    contenders: readonly Running[];
    run: PlayerRun;
    players: AsyncDisposableStack;
  },
): Promise<Player[]> {
  await using barrier = await Barrier.close(stage);
  const all: Player[] = [];
  const seated: number[] = [];
  for (const running of contenders) {
    const player = players.use(new Player(stage, running, { protocol, clients }));
    const waiting = await Promise.race([
      barrier.untilWaiting(seated.length + clients),
      player.hasEndedEarly(),
    ]);
    const backends = waiting.filter((pid) => !seated.includes(pid));
    player.stop(backends);
    seated.push(...backends);
    all.push(player);
  }
  await barrier.open();
  return all;
}
