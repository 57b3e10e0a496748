import type { Dialogue } from "../dialogue.ts";
import type { Secret } from "../secret.ts";
import { jwtPassword } from "./jwt_password.ts";

/**
 * Says who a token's bearer is and what they may be here, or throws. The token room and the authorize room stand behind
 * it; a method only carries the token there.
 */
export type Judge<Who> = (token: Secret) => Dialogue<Who>;

/** One way in: a linear conversation that ends in knowing who the client is. */
export type AuthenticationMethod = <Who>(judge: Judge<Who>) => Dialogue<Who>;

/** The ways in, by the name the configuration gives them. */
export const authenticationMethods = {
  password: jwtPassword,
} as const satisfies Record<string, AuthenticationMethod>;
