/** A connection was closed without a word because of a limit. */
export interface LimitHit {
  /** The key of `[limits]`. */
  readonly limit: string;
  /** It is the first in a minute: whoever reads a log need not read of each. */
  readonly isNews: boolean;
  /** How many there were since the last that was news. */
  readonly passedOver: number;
}

const NEWS_MS = 60_000;

/** What is to be told of the hits of a limit, of which a flood has thousands. */
export class LimitHits {
  readonly #now: () => number;
  /** By limit: when it was news last, and how often it was none since. */
  readonly #news = new Map<string, { readonly atMs: number; passedOver: number }>();

  /** `now` is in milliseconds on any clock. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** One more. */
  next(limit: string): LimitHit {
    const nowMs = this.#now();
    const news = this.#news.get(limit);
    if (news !== undefined && nowMs >= news.atMs && nowMs - news.atMs < NEWS_MS) {
      return { limit, isNews: false, passedOver: ++news.passedOver };
    }
    this.#news.set(limit, { atMs: nowMs, passedOver: 0 });
    return { limit, isNews: true, passedOver: news?.passedOver ?? 0 };
  }
}
