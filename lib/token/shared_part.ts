import type { IssuerProblem } from "./token_event.ts";

/** A part of an issuer: undefined where its table has none, or where something is wrong with it. */
export interface Opened<Part> {
  readonly part?: Part;
  readonly problems: readonly Omit<IssuerProblem, "issuer">[];
}

/** A part that more than one verifier may hold: a reload takes it over, and whoever lets go of it last closes it. */
export class SharedPart<Part extends { close(): Promise<void> }> {
  readonly part: Part;
  /** What it was made of, in words; `null`: it is made anew each time. */
  readonly terms: string | null;
  #holders = 1;

  constructor(part: Part, terms: string | null) {
    this.part = part;
    this.terms = terms;
  }

  /** One more holds it. */
  hold(): this {
    this.#holders++;
    return this;
  }

  /** One holds it no more. */
  async close(): Promise<void> {
    if (--this.#holders === 0) await this.part.close();
  }
}

/** A part as {@link Opened}, and whether it was there before. */
export interface Taken<Part extends { close(): Promise<void> }> {
  readonly shared?: SharedPart<Part>;
  readonly isKept: boolean;
  readonly problems: Opened<Part>["problems"];
}

/** The part of before if it was made on the same terms, or another one. */
export async function takeOver<Part extends { close(): Promise<void> }>(
  before: SharedPart<Part> | undefined,
  { terms, open }: {
    readonly terms: string | null;
    readonly open: () => Opened<Part> | Promise<Opened<Part>>;
  },
): Promise<Taken<Part>> {
  if (before !== undefined && terms !== null && before.terms === terms) {
    return { shared: before.hold(), isKept: true, problems: [] };
  }
  const { part, problems } = await open();
  return { shared: part && new SharedPart(part, terms), isKept: false, problems };
}
