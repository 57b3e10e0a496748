import type { Dialogue } from "../dialogue.ts";
import type { Secret } from "../secret.ts";
import type { Challenge } from "./challenge.ts";
import { jwtPassword } from "./jwt_password.ts";
import { oauthbearer } from "./oauthbearer.ts";

/** What became of a token: who its bearer is and what they may be here, or why not, for the log and the metrics alone. */
export type Verdict<Who> =
  | { readonly kind: "accepted"; readonly who: Who }
  | {
    readonly kind: "refused";
    readonly reason: string;
    /** One word of a few. */
    readonly fault?: string;
    readonly blame: "frontend" | "issuer";
    /** Whose token it is, where it is good, as far as that may be recorded. */
    readonly whose?: { readonly issuer: string; readonly identity?: string; readonly tokenId?: string };
  };

/**
 * Says what becomes of a token. The token room and the authorize room stand behind it; a method only carries the token
 * there, and tells the client no more than yes or no.
 */
export type Judge<Who> = (token: Secret) => Dialogue<Verdict<Who>>;

/** What a method knows of the connection it lets in. */
export interface Authenticating {
  /** The startup message's user, for messages. */
  readonly user: string;
  /** What a client without a token is sent to: of a way in by OAUTHBEARER. */
  readonly challenge?: Challenge;
}

/** One way in: a linear conversation that ends in knowing who the client is. */
export type AuthenticationMethod = <Who>(judge: Judge<Who>, about: Authenticating) => Dialogue<Who>;

/** The ways in, by the name the configuration gives them. */
export const authenticationMethods = {
  password: jwtPassword,
  oauthbearer,
} as const satisfies Record<string, AuthenticationMethod>;

/** What the configuration calls a method. */
export type MethodName = keyof typeof authenticationMethods;
