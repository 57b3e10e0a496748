/** Rows as a text in columns, each as wide as its widest cell; the last is as long as it likes. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.slice(0, -1).entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    }
  }
  const line = (row: readonly string[]) =>
    row.map((cell, index) => index === row.length - 1 ? cell : cell.padEnd(widths[index] + 2)).join("");
  return rows.map(line).join("\n");
}
