import { type Running, start } from "./contender.ts";
import type { Bench } from "./measure.ts";
import { pgbench } from "./pgbench.ts";
import { readMetrics } from "./proxy_metrics.ts";
import { proxyProgram } from "./proxy_program.ts";
import { number } from "./table.ts";

const LOGINS = { protocol: "simple", clients: 4, connectsEachTime: true } as const;

/** Memory while many log in and leave, one after another: what each leaves behind shows in the end. */
export async function measureGrowth({ stage, variant, effort, report }: Bench): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const contender = proxyProgram(stage, { variant, isWatched: true });
  const running = await start(stage, { contender, transport: "TLS", resources });
  const steps = 10;
  const rows = [await memoryRow(running, 0)];
  for (let step = 1; step <= steps; step++) {
    const transactions = Math.ceil(effort.logins / steps / LOGINS.clients);
    await pgbench(stage, running, { ...LOGINS, until: { transactions } });
    rows.push(await memoryRow(running, step * transactions * LOGINS.clients));
  }
  const [half, end] = [rows[steps / 2], rows[steps]];
  const bytes = (end.residentBytes - half.residentBytes) / (end.logins - half.logins);
  report.table(`growth: ${rows[steps].logins} logins in a row`, {
    rows: rows.map(({ logins, residentBytes, heapBytes }) => ({
      "logins": number(logins),
      "resident MB": number(residentBytes / 1e6, 1),
      "heap MB": number(heapBytes / 1e6, 1),
    })),
    series: [{ running, results: rows }],
    notes: [`In the second half, a login has left ${number(bytes)} bytes.`],
  });
}

async function memoryRow(running: Running, logins: number) {
  const { residentBytes, heapBytes } = await readMetrics(running.adminUrl!);
  return { logins, residentBytes, heapBytes };
}
