import { columns } from "./columns.ts";

/** How a thing is: as it should be, soon not to be, not as it should be, or not looked at. */
export type State = "ok" | "warning" | "fault" | "skipped";

/** One thing that `check` has looked at. */
export interface Finding {
  /** `backend orders`, `listen.certificate`. */
  readonly what: string;
  readonly state: State;
  /** One clause or several: what was found. */
  readonly detail: string;
}

/** Findings as a table, a line each, and a last line that counts them. */
export function tableOf(findings: readonly Finding[]): string {
  const count = (state: State) => findings.filter((one) => one.state === state).length;
  const counts = [plural(count("fault"), "fault"), plural(count("warning"), "warning")].join(", ");
  return `${columns(findings.map(({ state, what, detail }) => [state, what, detail]))}\n\n${counts}`;
}

/** Whether anything is not as it should be. */
export function hasFault(findings: readonly Finding[]): boolean {
  return findings.some(({ state }) => state === "fault");
}

/** `1 key`, `2 keys`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
