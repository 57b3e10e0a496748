import { Command, CommanderError } from "commander";
import denoJson from "../../deno.json" with { type: "json" };
import { ConfigurationError } from "../config/problem.ts";
import { addConfigurationFlags, addLogFlags, sourceOf } from "./configuration_flags.ts";
import type { ExplainOptions } from "./explain.ts";
import { CHECK_HELP, EXIT, EXPLAIN_HELP, PERMISSIONS_HELP, PROGRAM_HELP, START_HELP } from "./help.ts";
import { StartError } from "./load.ts";
import type { TokenPlace } from "./read_token.ts";
import { stopSignals } from "./stop_signals.ts";

// What a command takes to run is imported when it is run: one that serves need not wait for those that do not.

/** Does what a person asks for; gives the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const failed = () => void (exitCode = EXIT.failed);
  const program = describeProgram();
  addStart(program, failed);
  addCheck(program, failed);
  addExplain(program, failed);
  addPermissions(program, args);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.misused;
    const isExplained = error instanceof ConfigurationError || error instanceof StartError;
    console.error(isExplained ? error.message : error);
    return EXIT.failed;
  }
}

function describeProgram(): Command {
  const program = new Command("pg-auth-proxy")
    .description(
      "A PostgreSQL proxy: clients present a bearer token over TLS; the proxy checks it, maps its bearer by rules to a " +
        "backend and a role, logs in there with a password or certificate of its own, and carries the session.",
    )
    .version(`pg-auth-proxy ${denoJson.version}`, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", PROGRAM_HELP)
    .showHelpAfterError("(--help shows how)")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      // Colours would be asked of the environment, which the program has no permission to read.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(asOneSentence(text)),
    })
    .exitOverride();
  addLogFlags(program);
  return program;
}

function addStart(program: Command, failed: () => void): void {
  addCommand(program, {
    name: "start",
    does: "serve until SIGTERM or SIGINT; SIGHUP loads the configuration anew",
    help: START_HELP,
  })
    .action(async (_options, command: Command) => {
      const { start } = await import("./start.ts");
      const onReload = (reload: () => void) => Deno.addSignalListener("SIGHUP", reload);
      const { cut } = await start({ source: sourceOf(command), ...stopSignals(), onReload });
      if (cut > 0) failed();
    });
}

function addCheck(program: Command, failed: () => void): void {
  addCommand(program, {
    name: "check",
    does: "look at all that can be known without serving",
    help: CHECK_HELP,
  })
    .optionsGroup("Check:")
    .option("--connect", "reach every backend, and log in there where that takes no client")
    .option("--json", "print JSON, one array of { what, state, detail }, not a table")
    .action(async ({ connect = false, json }: { connect?: boolean; json?: boolean }, command: Command) => {
      const { check } = await import("./check.ts");
      const { hasFault, tableOf } = await import("./finding.ts");
      const findings = await check({ source: sourceOf(command), connects: connect });
      console.log(json ? JSON.stringify(findings, null, 2) : tableOf(findings));
      if (hasFault(findings)) failed();
    });
}

function addExplain(program: Command, failed: () => void): void {
  addCommand(program, {
    name: "explain",
    does: "say what becomes of a token: is it good, which rule decides, and why",
    help: EXPLAIN_HELP,
  })
    .optionsGroup("Explain:")
    .option("--token-file <file>", "read the token there, not from standard input")
    .option(
      "--token <token>",
      "the token itself: everybody on this machine can read it in the list of processes",
    )
    .option("--user <name>", "the user its bearer asks for; default: the first that a rule lets in")
    .option("--database <name>", "the database its bearer asks for; default: as with the user")
    .option("--listener <address>", "where its bearer comes in; default: the first of listen.address")
    .option("--server-name <name>", "the name its bearer gives in TLS; default: none")
    .option("--client-address <ip>", "where its bearer comes from; default: 127.0.0.1")
    .option("--client-certificate <file>", "the certificate its bearer shows in TLS: PEM; default: none")
    .action(async (options: TokenPlace & Omit<ExplainOptions, "source" | "token">, command: Command) => {
      const { explain } = await import("./explain.ts");
      const { readToken } = await import("./read_token.ts");
      const source = sourceOf(command);
      const { isGranted, text } = await explain({ ...options, source, token: await readToken(options) });
      console.log(text);
      if (!isGranted) failed();
    });
}

function addPermissions(program: Command, args: readonly string[]): void {
  addCommand(program, {
    name: "permissions",
    does: "print what Deno must permit, and no more",
    help: PERMISSIONS_HELP,
  })
    .action(async (_options, command: Command) => {
      const { permissions } = await import("./permissions.ts");
      // A file may be called like the command.
      const startArgs = args.with(args.indexOf("permissions"), "start");
      console.log(await permissions({ source: sourceOf(command), startArgs }));
    });
}

/** A command that takes the flags of the configuration. */
function addCommand(
  program: Command,
  { name, does, help }: { readonly name: string; readonly does: string; readonly help: string },
): Command {
  const command = program.command(name).description(does)
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", help)
    .exitOverride();
  return addConfigurationFlags(command);
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
