import type { VerifiedToken } from "./verified_token.ts";

/** Tokens and bearers that are no longer welcome, whatever their issuer has signed. */
export interface DenyList {
  has(verified: VerifiedToken): boolean;
  close(): Promise<void>;
}
