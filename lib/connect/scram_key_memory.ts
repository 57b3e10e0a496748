import type { Secret } from "../secret.ts";
import type { Salting } from "./questions.ts";
import { saltedPassword } from "./salted_password.ts";
import { type ScramKeys, scramKeys } from "./scram_keys.ts";

/** Roles may share a password, and each has a salt of its own. A backend that sends a new one each time fills no more. */
const MAX_KEPT = 1_000;

type KeysBySalting = Map<string, Promise<ScramKeys>>;

/**
 * Keys of SCRAM, so that thousands of hashes are computed once for each password and salt, and not at each login.
 *
 * They are kept beside the configured password, and go with it: by a reload, or when nothing logs in with it any more.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-5.1, on the iteration count
 */
export class ScramKeyMemory {
  readonly #kept = new WeakMap<Secret, KeysBySalting>();
  readonly #saltedPassword: (salting: Salting) => Promise<Uint8Array>;

  constructor(computedBy = saltedPassword) {
    this.#saltedPassword = computedBy;
  }

  /** The keys for this password and salt; logins that ask at the same time wait for the same. */
  keysOf(salting: Salting): Promise<ScramKeys> {
    const kept = this.#keptOf(salting.password);
    const name = `${salting.iterations},${salting.salt.toBase64()}`;
    const keys = kept.get(name) ?? this.#compute(salting).catch((error) => {
      kept.delete(name);
      throw error;
    });
    // Deleted first: a Map keeps the place of a key it has, and the place is how long ago it was asked for.
    kept.delete(name);
    kept.set(name, keys);
    if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value!);
    return keys;
  }

  #keptOf(password: Secret): KeysBySalting {
    const kept = this.#kept.get(password) ?? new Map();
    this.#kept.set(password, kept);
    return kept;
  }

  async #compute(salting: Salting): Promise<ScramKeys> {
    return scramKeys(await this.#saltedPassword(salting));
  }
}
