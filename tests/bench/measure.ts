import type { Contender } from "./contender.ts";
import type { Report } from "./report.ts";
import type { Effort } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import type { Tool } from "./tools.ts";
import type { Variant } from "./variant.ts";

/** What every measure is given. */
export interface Bench {
  readonly stage: Stage;
  readonly contenders: readonly Contender[];
  /** The proxy as it is. */
  readonly variant: Variant;
  readonly effort: Effort;
  readonly report: Report;
}

/** One of the questions that a run answers. */
export interface Measure {
  readonly needs: readonly Tool[];
  readonly run: (bench: Bench) => Promise<void>;
}

/** The proxy that targets are held against, and with two event loops where it knows them: variants come besides. */
export const PROXY = "proxy";
export const PROXY_OF_TWO = "proxy workers=2";

/** What ratios are of. */
export const PGBOUNCER = "PgBouncer";
