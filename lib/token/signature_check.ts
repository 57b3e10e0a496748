import { compactVerify, errors } from "jose";
import type { Algorithm } from "./algorithms.ts";
import { checkType } from "./claim_checks.ts";
import type { CompactJws, JwsHeader } from "./compact_jws.ts";
import type { KeySource } from "./key_source.ts";
import { TokenRefused } from "./refused_token.ts";
import type { IssuerSettings } from "./schema.ts";
import type { VerificationKeys } from "./verification_keys.ts";

/**
 * Checks that a token was signed by its issuer, with an algorithm of the configuration.
 *
 * @returns the keys it was checked with: as long as they are the issuer's, the verdict holds
 * @throws {TokenRefused} algorithm, type, unknown_key, signature, keys_unavailable
 */
export async function checkSignature(
  token: string,
  { header, settings, keySource }: {
    readonly header: CompactJws["header"];
    readonly settings: IssuerSettings;
    readonly keySource: KeySource;
  },
): Promise<VerificationKeys> {
  const algorithm = configuredAlgorithm(header, settings);
  checkType(header.typ, settings);
  const keys = await keysFor(header.kid, { algorithm, settings, keySource });
  const match = keys.match(header.kid, algorithm);
  switch (match.kind) {
    case "unknown_kid":
      throw new TokenRefused("unknown_key", "The header's kid is none of the issuer's keys");
    case "no_fit":
      throw new TokenRefused("algorithm", "The header's alg does not fit the issuer's key");
    case "found":
      if (await isSigned(token, { keys: match.keys, algorithm })) return keys;
      throw new TokenRefused("signature", "The signature is wrong");
  }
}

/** The issuer's keys, fetched again where the token names one that is not among them. */
async function keysFor(
  kid: string | undefined,
  { algorithm, settings, keySource }: {
    algorithm: Algorithm;
    settings: IssuerSettings;
    keySource: KeySource;
  },
): Promise<VerificationKeys> {
  let keys = await keySource.usable();
  if (keys?.match(kid, algorithm).kind === "unknown_kid") {
    await keySource.askAgain();
    keys = keySource.current();
  }
  if (keys !== undefined) return keys;
  throw new TokenRefused("keys_unavailable", `The keys of issuer "${settings.name}" cannot be had`);
}

/** The algorithm is the configuration's choice; the token may only name one of it (T1). */
function configuredAlgorithm({ alg }: JwsHeader, { algorithms }: IssuerSettings): Algorithm {
  const algorithm = algorithms.find((one) => one === alg);
  if (algorithm === undefined) {
    throw new TokenRefused("algorithm", "The header's alg is not one of the issuer's algorithms");
  }
  return algorithm;
}

/** Whether one of the keys has signed the token. */
async function isSigned(
  token: string,
  { keys, algorithm }: { keys: readonly CryptoKey[]; algorithm: Algorithm },
): Promise<boolean> {
  for (const key of keys) {
    try {
      await compactVerify(token, key, { algorithms: [algorithm] });
      return true;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
    }
  }
  return false;
}
