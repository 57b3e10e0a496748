// In: nothing but this repository. Out: a PostgreSQL, an issuer and the proxy between them, with lines to paste into a shell.
// Chapter: the whole house, as somebody who has just cloned it sees it.

import { psqlLine, psqlVersion } from "./psql_line.ts";
import { checkLogins, checkRefusals } from "./self_check.ts";
import { setStage, type Stage, type Tell } from "./stage.ts";
import { VISITORS } from "./visitors.ts";

const USAGE = `deno task demo [--once]

  Starts a PostgreSQL, an OpenID Connect issuer and pg-auth-proxy on this machine, logs in through it, and stays until
  Ctrl-C. Nothing is left behind but what was downloaded.

  --once  stop after the logins: exit code 0 if all was as it should be, else 1`;

/** Runs the demo and returns the exit code. */
async function demo(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg !== "--once")) {
    const isHelp = args.includes("--help");
    (isHelp ? console.log : console.error)(USAGE);
    return isHelp ? 0 : 2;
  }
  const stop = new AbortController();
  const { signal } = stop;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(name, () => stop.abort(new Interrupted()));
  }
  // A mistake outside every await must not leave servers and files behind.
  addEventListener("error", (event) => {
    event.preventDefault();
    stop.abort(event.error);
  });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    stop.abort(event.reason);
  });
  exemptLoopbackFromHttpProxy();
  try {
    await play({ isOnce: args.includes("--once"), signal });
    return 0;
  } catch (thrown) {
    const reason = signal.aborted ? signal.reason : thrown; // what broke off because it was told to is no reason
    if (reason instanceof Interrupted) return 130;
    console.error(`\nThe demo failed. ${reason instanceof Error ? reason.message : reason}`);
    return 1;
  }
}

/** The demo was told to stop before it was ready. */
class Interrupted extends Error {
  override readonly name = "Interrupted";
}

async function play({ isOnce, signal }: { isOnce: boolean; signal: AbortSignal }): Promise<void> {
  const tell = (line: string) => console.log(line);
  await using resources = new AsyncDisposableStack();
  tell("pg-auth-proxy, all on this machine\n");
  const stage = await setStage(resources, { tell, signal });
  const aborted = whenAborted(signal);
  await Promise.race([check(stage, tell), aborted]);
  signal.throwIfAborted();
  if (isOnce) return tell("\nEverything is as it should be.");

  await inviteVisitors(stage, tell);
  await Promise.race([stage.proxy.ended, aborted]);
  if (!signal.aborted) throw new Error("The proxy has ended by itself");
  if (!(signal.reason instanceof Interrupted)) throw signal.reason;
  tell("\nStopping.");
}

async function check(stage: Stage, tell: Tell): Promise<void> {
  const psql = await psqlVersion();
  tell(`\n4. Logins through the proxy, with a token as the password${psql ? ` (psql here is ${psql})` : ""}`);
  await checkLogins(stage, { tell, hasPsql: psql !== undefined });
  tell("\n5. Logins that are refused");
  await checkRefusals(stage, tell);
}

async function inviteVisitors(stage: Stage, tell: Tell): Promise<void> {
  tell("\n6. Your turn: paste a line into another shell (the tokens are renewed before they expire)");
  if (await psqlVersion() === undefined) tell("   First: apt-get install postgresql-client");
  for (const visitor of VISITORS) tell(`\n${psqlLine(stage, visitor)}`);
  tell("\nCtrl-C ends the demo and removes its files.");
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** With HTTPS_PROXY set, Deno would ask that proxy for an issuer on localhost too. */
function exemptLoopbackFromHttpProxy(): void {
  const exempt = Deno.env.get("NO_PROXY") ?? Deno.env.get("no_proxy");
  const value = exempt ? `${exempt},localhost` : "localhost";
  for (const name of ["NO_PROXY", "no_proxy"]) Deno.env.set(name, value);
}

Deno.exit(await demo(Deno.args));
