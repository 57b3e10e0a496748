import type { Series } from "./rounds.ts";
import { number, printTable, type Row } from "./table.ts";
import { type Score, TARGETS, verdictOf } from "./targets.ts";

/** The figures of a measure, as they were taken. */
interface RawFigures {
  readonly heading: string;
  readonly contenders: Readonly<Record<string, readonly unknown[]>>;
}

/** What a run has found: tables as they come, the raw figures for a file, and at the end how the targets stand. */
export class Report {
  readonly #scores: Score[] = [];
  readonly #raw: RawFigures[] = [];

  /** Prints a table; the figures that it was made of are kept. */
  table(heading: string, { rows, series = [], notes = [] }: {
    readonly rows: readonly Row[];
    readonly series?: readonly Series<unknown>[];
    /** Sentences below it. */
    readonly notes?: readonly string[];
  }): void {
    printTable(heading, rows);
    for (const note of notes) console.log(`\n${note}`);
    const contenders = Object.fromEntries(series.map(({ running, results }) => [running.name, results]));
    this.#raw.push({ heading, contenders });
  }

  /** Keeps how far the proxy came towards a target. */
  score(score: Score): void {
    this.#scores.push(score);
  }

  /** Prints each target, what was reached, and whether that is enough. */
  printTargets(): void {
    if (this.#scores.length === 0) return;
    printTable("targets", this.#scores.map(targetRow));
    const unmeasured = Object.values(TARGETS).filter(({ measure }) =>
      !this.#scores.some(({ target }) => target.measure.startsWith(measure))
    );
    if (unmeasured.length > 0) {
      console.log(`\nNot measured: ${unmeasured.map(({ measure }) => measure).join("; ")}.`);
    }
  }

  /** Everything, for programs to read. */
  toJson(circumstances: Readonly<Record<string, unknown>>): string {
    const targets = this.#scores.map((score) => ({ ...score, verdict: verdictOf(score) }));
    return JSON.stringify({ ...circumstances, targets, figures: this.#raw }, undefined, 2) + "\n";
  }
}

function targetRow(score: Score): Row {
  const { measure, bound, value, unit, decimals } = score.target;
  const { measured, floor, ofFloor, met } = verdictOf(score);
  return {
    "target": measure,
    "wanted": `${bound === "at most" ? "≤" : "≥"} ${value} ${unit}`,
    "measured": number(measured.median, decimals),
    "least–most": `${number(measured.least, decimals)}–${number(measured.most, decimals)}`,
    "floor": number(floor, decimals),
    "of the floor": number(ofFloor, 2),
    "met": met,
  };
}
