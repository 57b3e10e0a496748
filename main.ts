import { Command, CommanderError } from "commander";
import denoJson from "./deno.json" with { type: "json" };
import { StartError } from "./lib/commands/load.ts";
import { start } from "./lib/commands/start.ts";
import { ConfigurationError } from "./lib/config/problem.ts";

/** The exit codes: what a supervisor may go by. */
const EXIT = { ok: 0, failed: 1, misused: 2 } as const;

const EXAMPLES = `
Examples:
  pg-auth-proxy start --config config.toml
  psql "host=localhost port=6432 user=alice dbname=orders sslmode=verify-full sslrootcert=ca.crt"
      with the token in PGPASSWORD

config.example.toml shows every key of the configuration.
Exit codes: ${EXIT.ok} ended as asked, ${EXIT.failed} could not start or failed, ${EXIT.misused} the command line is wrong.`;

const program = new Command("pg-auth-proxy")
  .description(
    "A PostgreSQL proxy: clients present a bearer token over TLS; the proxy checks it, maps its bearer by rules to a " +
      "backend and a role, logs in there with a password or certificate of its own, and carries the session.",
  )
  .version(`pg-auth-proxy ${denoJson.version}`, "-V, --version", "print the version")
  .helpOption("-h, --help", "print this help")
  .addHelpText("after", EXAMPLES)
  .showHelpAfterError("(--help shows how)")
  // Colours would be asked of the environment, which the program has no permission to read.
  .configureOutput({ getOutHasColors: () => false, getErrHasColors: () => false })
  .exitOverride();

program.command("start")
  .description("serve until SIGTERM or SIGINT; SIGHUP loads the configuration anew")
  .requiredOption("-c, --config <file>", "the configuration, a TOML file")
  .helpOption("-h, --help", "print this help")
  .exitOverride()
  .action(({ config }: { config: string }) =>
    start({ config, signal: stopSignal(), onReload: (reload) => Deno.addSignalListener("SIGHUP", reload) })
  );

Deno.exit(await run());

async function run(): Promise<number> {
  try {
    await program.parseAsync(Deno.args, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.misused;
    const isExplained = error instanceof ConfigurationError || error instanceof StartError;
    console.error(isExplained ? error.message : error);
    return EXIT.failed;
  }
}

/** Aborts on SIGTERM or SIGINT. SIGHUP, which a closing terminal sends too, loads the configuration anew and ends nothing. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort());
  return stop.signal;
}
