import type { Running } from "./contender.ts";
import type { Bench } from "./measure.ts";
import { libpqEnvironment } from "./pgbench.ts";

/** Which TLS libpq sees, through each contender: a cheaper cipher of one would pass for a faster program. */
export async function tableOfTls({ stage, report }: Bench, all: readonly Running[]): Promise<void> {
  const psql = stage.toolbox.get("psql");
  if (psql === undefined) return;
  const rows = await Promise.all(all.map(async (running) => {
    const text = await conninfo(psql, running);
    return {
      "through": running.name,
      "protocol": /TLSv[\d.]+/.exec(text)?.[0] ?? "none",
      "cipher": /\b(?:TLS_|ECDHE-)[\w-]+/.exec(text)?.[0] ?? "none",
    };
  }));
  report.table(`TLS as libpq sees it, ${all[0].transport}`, { rows });
}

async function conninfo(psql: string, running: Running): Promise<string> {
  const { stdout } = await new Deno.Command(psql, {
    args: ["--no-psqlrc", "--command=\\conninfo"],
    env: libpqEnvironment(running),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout);
}
