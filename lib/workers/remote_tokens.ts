import type { TokenDesk } from "../token_desk.ts";
import type { MainCalls } from "./calls.ts";
import type { Line } from "./line.ts";

/**
 * Asks the main thread about tokens: its keys are fetched once for all workers, and a token that one of them was shown is
 * known to the others.
 *
 * @param generation by which configuration
 */
export function remoteTokens(line: Line<MainCalls>, generation: number): TokenDesk {
  return {
    verify: (token, { signal, ...presented }) => line.ask("verify", { generation, token, presented }, signal),
    standingOf: (token) => line.ask("standingOf", { generation, token }),
    introspectAgain: (presented, token) => line.ask("introspectAgain", { generation, token, presented }),
  };
}
