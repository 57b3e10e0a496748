import type { Limits } from "./limits/limits.ts";
import type { Soon } from "./soon.ts";
import type { AskedOfUs, Presentation } from "./token/presentation.ts";
import type { StandingOfToken, TokenVerifier } from "./token/token_verifier.ts";
import type { TokenNames, VerifiedToken } from "./token/verified_token.ts";

/** How a token was presented, and by whom. */
export interface Presented extends Omit<Presentation, "takeTurn"> {
  readonly asked: AskedOfUs;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What is thought now of a token that was good at login. */
export type Standing = "good" | "denied" | "of no issuer of ours";

/** Where sessions ask about tokens: who answers may be in another thread. */
export interface TokenDesk {
  /**
   * The token's claims, if it is good and was presented by whom it may be.
   *
   * @throws {TokenRefused} with its fault when it is not
   * @throws {PgError} 53300 when too many logins like it have failed meanwhile
   */
  verify(token: string, presented: Presented): Promise<VerifiedToken>;
  /** Whether it has been withdrawn meanwhile, or its issuer. */
  standingOf(token: TokenNames): Soon<Standing>;
  /** As {@link TokenVerifier.introspectAgain}. */
  introspectAgain(token: string, verified: VerifiedToken): Promise<StandingOfToken>;
}

/** What a {@link TokenDesk} asks itself. */
export type DeskVerifier = Pick<TokenVerifier, "verify" | "isDenied" | "knowsIssuerOf" | "introspectAgain">;

/** The desk in this thread: the verifier's answers, and clients that wait for their turn where an issuer has to be asked. */
export function tokenDesk(
  verifier: DeskVerifier,
  { turns, failedLogins }: Pick<Limits, "turns" | "failedLogins">,
): TokenDesk {
  return {
    verify: (token, { signal, ...presented }) => {
      const { clientAddress, user } = presented.asked;
      const takeTurn = async (issuer: string): Promise<Disposable> => {
        using waited = new DisposableStack();
        waited.use(await turns.take(clientAddress, { issuer, signal }));
        // Others like it may have failed meanwhile.
        failedLogins.check({ address: clientAddress, user });
        return waited.move();
      };
      return verifier.verify(token, { ...presented, takeTurn });
    },
    standingOf: (token) => {
      if (!verifier.knowsIssuerOf(token)) return "of no issuer of ours";
      return verifier.isDenied(token) ? "denied" : "good";
    },
    introspectAgain: (token, verified) => verifier.introspectAgain(token, verified),
  };
}
