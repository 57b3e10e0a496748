// In: what is said of workers besides that there are two. Out: a proxy of two real threads before a real PostgreSQL, and
// sessions of which one knows who carries them.
// Chapter: what the `workers_…_test.ts` files have in common.
import { ClientScene, type RawSession, type SceneOptions } from "./client_scene.ts";

/** How many workers there are in these tests. */
export const WORKERS = 2;

/** The table `[service]` of these tests. */
export const SERVICE = `
[service]
workers = ${WORKERS}
refresh = "0"
`;

/** A scene with two workers. */
export function openWorkers({ toml = "", ...options }: SceneOptions = {}): Promise<ClientScene> {
  return ClientScene.start({ ...options, toml: SERVICE + toml });
}

/** The worker that carries a session, from 0: its process id says so. */
export function workerOf({ processId }: Pick<RawSession, "processId">): number {
  return processId % WORKERS;
}

/** A session with each of the workers, in order; others that were opened on the way are closed. */
export async function sessionWithEach(scene: ClientScene): Promise<readonly RawSession[]> {
  const found: RawSession[] = [];
  for (let tries = 0; tries < 50; tries++) {
    const session = await scene.rawSession();
    if (found[workerOf(session)] === undefined) found[workerOf(session)] = session;
    else await session[Symbol.asyncDispose]();
    if (Object.keys(found).length === WORKERS) return found;
  }
  throw new Error("The system has given all of 50 clients to one worker");
}
