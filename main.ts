import { Command, CommanderError } from "commander";
import denoJson from "./deno.json" with { type: "json" };
import { addConfigurationFlags, addLogFlags, sourceOf } from "./lib/commands/configuration_flags.ts";
import { StartError } from "./lib/commands/load.ts";
import { permissions } from "./lib/commands/permissions.ts";
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

const program = addLogFlags(
  new Command("pg-auth-proxy")
    .description(
      "A PostgreSQL proxy: clients present a bearer token over TLS; the proxy checks it, maps its bearer by rules to a " +
        "backend and a role, logs in there with a password or certificate of its own, and carries the session.",
    )
    .version(`pg-auth-proxy ${denoJson.version}`, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help shows how)")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      // Colours would be asked of the environment, which the program has no permission to read.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(asOneSentence(text)),
    })
    .exitOverride(),
);

addConfigurationFlags(command("start", "serve until SIGTERM or SIGINT; SIGHUP loads the configuration anew"))
  .action((_options, command: Command) => {
    const onReload = (reload: () => void) => Deno.addSignalListener("SIGHUP", reload);
    return start({ source: sourceOf(command), signal: stopSignal(), onReload });
  });

addConfigurationFlags(
  command("permissions", "print what Deno must permit for this configuration, and no more"),
)
  .action(async (_options, command: Command) => {
    const startArgs = Deno.args.map((word) => word === "permissions" ? "start" : word);
    console.log(await permissions({ source: sourceOf(command), startArgs }));
  });

function command(name: string, description: string): Command {
  return program.command(name).description(description).helpOption("-h, --help", "print this help")
    .exitOverride();
}

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

/** An error of the command line in one sentence, as every other message of the program is. */
function asOneSentence(text: string): string {
  return text
    .replace(/ is invalid\. Allowed choices are (.*)\./, " is invalid: it must be one of $1")
    .replace(" is invalid. ", " is invalid: it ")
    .replace(
      /(too many arguments for '.*')\. Expected 0 .*: (.*)\./,
      "$1: it takes options alone, and $2 is none",
    );
}

/** Aborts on SIGTERM or SIGINT. SIGHUP, which a closing terminal sends too, loads the configuration anew and ends nothing. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort());
  return stop.signal;
}
