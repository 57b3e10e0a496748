import type { Program } from "./program.ts";
import type { TokenAlgorithm } from "./stage.ts";

/** In TLS or in clear, from the client to the contender. */
export type Transport = "plain" | "TLS";

/** By what a client is let in. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Where a running contender takes clients. */
export interface Entrance {
  readonly port: number;
  /** Undefined where no program stands between client and PostgreSQL. */
  readonly program?: Program;
  /** For libpq, which knows every way to log in. */
  readonly credentials: Credentials;
  /** The same, by a token of each algorithm, where tokens are taken. */
  readonly tokens?: Readonly<Record<TokenAlgorithm, Credentials>>;
  /** For a client that knows no more than to send a password in clear. */
  readonly simpleCredentials: Credentials;
}

/** A way from the client to PostgreSQL. */
export interface Contender {
  readonly name: string;
  /** Whether CPU and memory are of interest. */
  readonly isProgram: boolean;
  /** Starts it; it ends with the stack. */
  start(transport: Transport, resources: AsyncDisposableStack): Promise<Entrance>;
}

/** A contender that is running, for as long as a measure lasts. */
export interface Running extends Entrance {
  readonly name: string;
  readonly transport: Transport;
}

/** Starts every contender, hands them over, and ends them. */
export async function withAll<T>(
  contenders: readonly Contender[],
  { transport, act }: { transport: Transport; act: (running: readonly Running[]) => Promise<T> },
): Promise<T> {
  await using resources = new AsyncDisposableStack();
  const running: Running[] = [];
  for (const contender of contenders) {
    const entrance = await contender.start(transport, resources);
    running.push({ ...entrance, name: contender.name, transport });
  }
  return await act(running);
}
