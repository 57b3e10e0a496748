/** Columns by their headings, in order: of the cells, numbers and what ends in one stand on the right. */
export type Row = Readonly<Record<string, string>>;

/** Prints a heading and a table below it. */
export function printTable(heading: string, rows: readonly Row[]): void {
  console.log(`\n## ${heading}\n`);
  if (rows.length === 0) return console.log("No rows: the programs for it are missing.");
  const columns = Object.keys(rows[0]);
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => row[column].length)));
  const line = (cells: readonly string[]) =>
    `| ${
      cells.map((cell, at) => at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at])).join(" | ")
    } |`;
  console.log(line(columns));
  console.log(
    `|${
      widths.map((width, at) => at === 0 ? "-".repeat(width + 2) : "-".repeat(width + 1) + ":").join("|")
    }|`,
  );
  for (const row of rows) console.log(line(columns.map((column) => row[column])));
}

/** A number with so many decimals; a dash where there is none. */
export function number(value: number | undefined, decimals = 0): string {
  return value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(decimals);
}
