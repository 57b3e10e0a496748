import { Command } from "commander";
import denoJson from "./deno.json" with { type: "json" };
import { start } from "./lib/commands/start.ts";

const program = new Command("pg-auth-proxy")
  .description(
    "A PostgreSQL proxy that takes bearer tokens in and logs in with credentials nobody else holds.",
  )
  .version(`pg-auth-proxy ${denoJson.version}`, "--version", "print the version");

program.command("start")
  .description("serve until SIGTERM or SIGINT")
  .requiredOption("--config <file>", "the configuration, in TOML")
  .action(async ({ config }: { config: string }) => {
    const stop = new AbortController();
    for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort());
    await start({ config, signal: stop.signal });
    Deno.exit(0);
  });

try {
  await program.parseAsync(["deno", "pg-auth-proxy", ...Deno.args]);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  Deno.exit(1);
}
