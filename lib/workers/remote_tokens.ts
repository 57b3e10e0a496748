import type { TokenNames } from "../token/verified_token.ts";
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
    // Of a thousand sessions at once: all their claims would take a while to be cloned.
    standingOf: (token) => line.ask("standingOf", { generation, token: namesOf(token) }),
    introspectAgain: (presented, token) => line.ask("introspectAgain", { generation, token, presented }),
  };
}

function namesOf({ issuer, tokenId, subject, claims }: TokenNames): TokenNames {
  return { issuer, tokenId, subject, claims: Object.hasOwn(claims, "iss") ? { iss: claims.iss } : {} };
}
