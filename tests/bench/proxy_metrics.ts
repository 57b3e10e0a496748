/** What the proxy tells of itself at one moment. */
export interface ProxyMetrics {
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** How often the event loop was looked at and was late by no more than so many seconds, by that number. */
  readonly lagBuckets: ReadonlyMap<number, number>;
}

/** Asks the proxy's admin server. */
export async function readMetrics(adminUrl: string): Promise<ProxyMetrics> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return {
    residentBytes: gauge(text, "process_resident_memory_bytes"),
    heapBytes: gauge(text, "process_heap_bytes"),
    lagBuckets: buckets(text, "pg_auth_proxy_event_loop_lag_seconds"),
  };
}

/** The bound that all looks at the event loop between two moments stayed below, in seconds; undefined without one. */
export function mostLag(before: ProxyMetrics, after: ProxyMetrics): number | undefined {
  const looks = [...after.lagBuckets].map(([bound, count]) => ({
    bound,
    count: count - (before.lagBuckets.get(bound) ?? 0),
  }));
  const all = Math.max(...looks.map(({ count }) => count));
  return all === 0 ? undefined : looks.find(({ count }) => count === all)?.bound;
}

function gauge(text: string, name: string): number {
  const line = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text);
  if (line === null) throw new Error(`There is no metric ${name}`);
  return Number(line[1]);
}

/** Bounds from small to large; several event loops are added up. */
function buckets(text: string, name: string): Map<number, number> {
  const counts = new Map<number, number>();
  for (
    const [, bound, count] of text.matchAll(
      new RegExp(`^${name}_bucket\\{.*?le="([^"]+)".*?\\} (\\d+)$`, "gm"),
    )
  ) {
    const seconds = bound === "+Inf" ? Infinity : Number(bound);
    counts.set(seconds, (counts.get(seconds) ?? 0) + Number(count));
  }
  return counts;
}
