import type { Tool, Toolbox } from "./tools.ts";

// USER_HZ, which is 100 on every platform that Deno runs on.
const MICROS_PER_TICK = 10_000;

/** What every process of the machine has used so far, the kernel included: user and system time, in microseconds. */
export async function busyMicros(): Promise<number> {
  const [all] = (await Deno.readTextFile("/proc/stat")).split("\n");
  const [user, nice, system, _idle, _iowait, irq, softirq, steal] = all.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) * MICROS_PER_TICK;
}

/** What the programs that a process has started and that have ended used: user and system time, in microseconds. */
export async function endedChildrenMicros(pid: number | "self"): Promise<number> {
  const [, , cutime, cstime] = ticksOf(await Deno.readTextFile(`/proc/${pid}/stat`));
  return (cutime + cstime) * MICROS_PER_TICK;
}

/** How many processes a process with one thread has started that have not ended. */
export async function countChildren(pid: number): Promise<number> {
  return (await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)).split(" ").length - 1;
}

/** What a process, all its threads together, has used so far: user and system time, in microseconds. */
export async function processMicros(pid: number): Promise<number> {
  const [utime, stime] = ticksOf(await Deno.readTextFile(`/proc/${pid}/stat`));
  return (utime + stime) * MICROS_PER_TICK;
}

/** What threads have used so far, in microseconds, by their ids. */
export type ThreadTimes = ReadonlyMap<string, number>;

/** The same of all threads of processes that sleep now, to the nanosecond: many of them add up to no error. */
export function sleepersTimes(pids: readonly number[]): ThreadTimes {
  const times = new Map<string, number>();
  for (const pid of pids) {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      const micros = sleeperMicros(`/proc/${pid}/task/${name}`);
      if (micros !== undefined) times.set(name, micros);
    }
  }
  return times;
}

/** What threads have used between two looks, in microseconds; of those that have ended nothing is known. */
export function usedBetween(before: ThreadTimes, after: ThreadTimes): number {
  let micros = 0;
  for (const [thread, used] of after) micros += used - (before.get(thread) ?? 0);
  return micros;
}

/** Undefined once the thread has ended. */
function sleeperMicros(directory: string): number | undefined {
  try {
    const [nanoseconds] = Deno.readTextFileSync(`${directory}/schedstat`).split(" ");
    return Number(nanoseconds) / 1000;
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as { code?: string }).code!)) return undefined;
    throw error;
  }
}

/** How many files a process may open that this one starts. */
export async function openFilesLimit(): Promise<number> {
  const limits = await Deno.readTextFile("/proc/self/limits");
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(limits)![1]);
}

/** What a run stands on: cores, kernel, and the version of each program. */
export async function circumstances(toolbox: Toolbox): Promise<Record<string, string>> {
  const programs = await Promise.all(
    [...toolbox].map(async ([tool, path]) => [tool, await versionOf(tool, path)] as const),
  );
  return {
    cores: String(navigator.hardwareConcurrency),
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    ...Object.fromEntries(programs),
  };
}

/** utime, stime, cutime, cstime: fields 14 to 17 of proc_pid_stat(5). */
function ticksOf(stat: string): number[] {
  // The second field, the program's name, may hold spaces: count from behind its closing parenthesis.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 15).map(Number);
}

const VERSION_FLAGS: Readonly<Partial<Record<Tool, string>>> = { haproxy: "-v", stunnel: "-version" };

async function versionOf(tool: Tool, path: string): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(path, {
    args: [VERSION_FLAGS[tool] ?? "--version"],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return /\d+\.\d+[.\d]*/.exec(text)?.[0] ?? "?";
}
