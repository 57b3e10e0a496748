/** The exit codes: what a supervisor may go by. */
export const EXIT = { ok: 0, failed: 1, misused: 2 } as const;

const EXIT_CODES =
  `Exit codes: ${EXIT.ok} ended as asked, ${EXIT.failed} could not start, failed or cut sessions off, ` +
  `${EXIT.misused} the command line is wrong.`;

/** What stands below the options of the program. */
export const PROGRAM_HELP = `
Examples:
  pg-auth-proxy check --config config.toml --connect
  pg-auth-proxy start --config config.toml
  psql "host=localhost port=6432 user=alice dbname=orders sslmode=verify-full sslrootcert=ca.crt"
      with the token in PGPASSWORD

config.example.toml shows every key of the configuration. "pg-auth-proxy start --help" shows the flags.
${EXIT_CODES}`;

/** What stands below the options of `start`. */
export const START_HELP = `
Examples:
  pg-auth-proxy start --config config.toml
  pg-auth-proxy start --config config.toml --bindAddr :6432 -v
  pg-auth-proxy start --backends backends.json --audience pg-auth-proxy \\
      --oidcDiscovery https://login.example.com/.well-known/openid-configuration \\
      --bindCert server.crt --bindKey server.key

A flag goes before what the file says. Those about the issuer are for a file that has one [[issuers]] table, or none;
--backends stands in the place of all [[backends]] and [[rules]]. Paths are relative to the working directory.

The backends file is asked in its order, and the first key that fits decides:
  {
    "alice@example.com": "postgres://alice@db1.internal/orders",
    "/^(.*)@example\\\\.com$/": "postgres://\\\\1@db1.internal/orders?sslrootcert=ca.crt"
  }
An expression (RE2) must match the whole claim, \\\\1 is what it captured, TLS to backends is verify-full unless the URL
says otherwise, and the roles postgres and root need a key that is text. Relative paths in URLs begin at the file
of --config, or without one at the working directory.

Durations: 500ms, 30s, 5m, 24h, 1h30m0s. Signals: SIGTERM and SIGINT drain the program, a second one
ends it now, SIGHUP loads everything anew.
${EXIT_CODES}`;

/** What stands below the options of `check`. */
export const CHECK_HELP = `
What is looked at: the file; that certificates and keys belong together, and until when they are good; whether issuers
give their keys and answer introspection, and validators answer; with --connect, whether backends are there and log the
proxy in; and whether Deno permits all of it. Certificates that end within 30 days are warnings.

Example:
  pg-auth-proxy check --config config.toml --connect

Exit codes: ${EXIT.ok} nothing is wrong, whatever is warned of; ${EXIT.failed} there is a fault; ${EXIT.misused} the command line is wrong.`;

/** What stands below the options of `explain`. */
export const EXPLAIN_HELP = `
The token is read from standard input or a file, and never printed; what it says is. Nobody is logged in anywhere, but
the token's own issuer is asked for its keys, and about the token if that is how it is judged.

Examples:
  get-token | pg-auth-proxy explain --config config.toml --user alice --database orders
  pg-auth-proxy explain --config config.toml --token-file alice.jwt

Exit codes: ${EXIT.ok} its bearer would be let in, ${EXIT.failed} not, ${EXIT.misused} the command line is wrong.`;

/** What stands below the options of `permissions`. */
export const PERMISSIONS_HELP = `
Prints two command lines, for deno run and deno compile: with them the program reaches what the configuration names, and
nothing else. A key set that moves to another host, or a file that the configuration names later, needs new ones.

Example:
  deno run --allow-read main.ts permissions --config config.toml

Exit codes: ${EXIT.ok} printed, ${EXIT.failed} the configuration cannot be used, ${EXIT.misused} the command line is wrong.`;
