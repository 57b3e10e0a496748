/**
 * Writes the table of all metrics into README.md, between its two marks:
 *
 *     deno run --allow-read --allow-write tools/metrics_table.ts
 */
import { declareMetrics } from "../lib/observe/metric_declarations.ts";
import { type MetricDescription, MetricSet } from "../lib/observe/metric_set.ts";

/** Where the table is. */
export const TABLE_FILE = new URL("../README.md", import.meta.url);

const BEGIN = "<!-- metrics: written by tools/metrics_table.ts -->";
const END = "<!-- end of metrics -->";

/** What each metric is. */
export function describeMetrics(): readonly MetricDescription[] {
  const set = new MetricSet();
  declareMetrics(set);
  return set.descriptions;
}

/** The text with the table as it should be between the marks. */
export function withTable(text: string): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) {
    throw new Error(`${TABLE_FILE.pathname} has no place for the table: ${BEGIN}`);
  }
  return `${text.slice(0, begin)}${BEGIN}\n\n${table(describeMetrics())}\n${text.slice(end)}`;
}

/** A table as `deno fmt` likes it: each column as wide as its widest cell. */
function table(metrics: readonly MetricDescription[]): string {
  const rows = [
    ["name", "type", "labels", "what it tells"],
    ...metrics.map(({ name, type, labels, help }) => [
      `\`${name}\``,
      type,
      labels.map((label) => `\`${label}\``).join(", "),
      help,
    ]),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`
  );
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1), ""].join("\n");
}

if (import.meta.main) {
  await Deno.writeTextFile(TABLE_FILE, withTable(await Deno.readTextFile(TABLE_FILE)));
}
