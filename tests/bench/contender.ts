import type { Program } from "./program.ts";
import { SessionClient } from "./session_client.ts";
import type { Stage, TokenAlgorithm } from "./stage.ts";

/** From the client to the contender: in clear, in TLS after an SSLRequest, or in TLS at once. */
export type Transport = "plain" | "TLS" | "sslnegotiation=direct";

/** By what a client is let in. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
  /** What libpq needs to know besides. */
  readonly conninfo?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Where a running contender takes clients. */
export interface Entrance {
  readonly port: number;
  /** None where nothing stands between client and PostgreSQL. */
  readonly programs: readonly Program[];
  /** For libpq, which knows every way to log in. */
  readonly credentials: Credentials;
  /** The same, by a token presented in each way, where tokens are taken. */
  readonly tokens?: Readonly<Record<TokenAlgorithm, Credentials> & { readonly OAUTHBEARER?: Credentials }>;
  /** For a client that knows no more than to send a password in clear; undefined where that is not enough. */
  readonly simpleCredentials?: Credentials;
  /** Where the proxy tells of itself. */
  readonly adminUrl?: string;
}

/**
 * What a contender is: nothing at all, a program that others have written, the proxy, or a program in Deno that carries
 * bytes and does nothing else.
 */
export type Kind = "direct" | "peer" | "proxy" | "floor";

/** A way from the client to PostgreSQL. */
export interface Contender {
  readonly name: string;
  readonly kind: Kind;
  /** How many event loops share its work. */
  readonly loops: number;
  /** How clients can come to it. */
  readonly transports: readonly Transport[];
  /** Starts it, without waiting until it serves; it ends with the stack. */
  launch(transport: Transport, resources: AsyncDisposableStack): Promise<Entrance>;
}

/** A contender that is running, for as long as a measure lasts. */
export interface Running extends Entrance {
  readonly name: string;
  readonly kind: Kind;
  readonly loops: number;
  readonly transport: Transport;
}

/** Starts a contender and waits until it serves. */
export async function start(
  { authorityPem }: Stage,
  { contender: { name, kind, loops, launch }, transport, resources }: {
    readonly contender: Contender;
    readonly transport: Transport;
    readonly resources: AsyncDisposableStack;
  },
): Promise<Running> {
  const running = { ...await launch(transport, resources), name, kind, loops, transport };
  for (const program of running.programs) await program.ready(() => tryOut(running, authorityPem));
  return running;
}

/** Starts every contender that can be reached so, hands them over, and ends them. */
export async function withAll<T>(
  contenders: readonly Contender[],
  { stage, transport, act }: {
    readonly stage: Stage;
    readonly transport: Transport;
    readonly act: (running: readonly Running[]) => Promise<T>;
  },
): Promise<T> {
  await using resources = new AsyncDisposableStack();
  const running: Running[] = [];
  for (const contender of contenders) {
    if (contender.transports.includes(transport)) {
      running.push(await start(stage, { contender, transport, resources }));
    }
  }
  return await act(running);
}

/** Logs in, or where that takes more than we know, connects. */
async function tryOut(running: Running, authorityPem: string): Promise<void> {
  if (running.simpleCredentials === undefined) {
    (await Deno.connect({ hostname: "127.0.0.1", port: running.port })).close();
  } else {
    (await SessionClient.open(running, authorityPem)).close();
  }
}
