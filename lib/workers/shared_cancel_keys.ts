import { type CancelClaim, type CancelDesk, CancelKeys, type Cancellable } from "../relay/cancel_keys.ts";
import type { Soon } from "../soon.ts";
import type { MainCalls, Membership } from "./calls.ts";
import type { Line } from "./line.ts";

/** Which worker has issued a cancel key: its process id says so. */
export function issuerOf(processId: number, { of }: Pick<Membership, "of">): number {
  // A client may send any 32 bits.
  return (processId >>> 0) % of;
}

/**
 * The cancel keys of one worker. A CancelRequest comes to any of them: each process id leads to the one that has issued it.
 */
export class SharedCancelKeys implements CancelDesk {
  readonly #own: CancelKeys;
  readonly #line: Line<MainCalls>;
  readonly #membership: Membership;

  constructor(line: Line<MainCalls>, membership: Membership) {
    this.#line = line;
    this.#membership = membership;
    this.#own = new CancelKeys({ isOurs: (processId) => this.#isOurs(processId) });
  }

  issue(...about: Parameters<CancelKeys["issue"]>): ReturnType<CancelKeys["issue"]> {
    return this.#own.issue(...about);
  }

  find(claim: CancelClaim): Soon<Cancellable | undefined> {
    return this.#isOurs(claim.processId) ? this.#own.find(claim) : this.#findElsewhere(claim);
  }

  /** For another worker: only a session of this one is meant. */
  findOwn(claim: CancelClaim): Cancellable | undefined {
    return this.#own.find(claim);
  }

  #isOurs(processId: number): boolean {
    return issuerOf(processId, this.#membership) === this.#membership.index;
  }

  async #findElsewhere(about: CancelClaim): Promise<Cancellable | undefined> {
    // A view is cloned with all that it is a view into, and what was read is good for a moment only.
    const claim = { ...about, secretKey: about.secretKey.slice() };
    const isKnown = await this.#line.ask("findCancel", claim);
    return isKnown ? { cancelQuery: () => this.#line.ask("cancel", claim) } : undefined;
  }
}
