import type { MetricDescription } from "../../lib/observe/metric_set.ts";

/** What an expression of PromQL names. */
export interface Named {
  /** Series, as `…_bucket` of a histogram. */
  readonly series: readonly string[];
  readonly labels: readonly string[];
}

const STRING = /"(?:[^"\\]|\\.)*"/g;
const GROUPING = /\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g;
const MATCHERS = /\{([^}]*)\}/g;
const RANGE = /\[[^\]]*\]/g;
/** A word that is called is a function; these stand between operands. */
const SERIES = /\b[a-zA-Z_:][\w:]*\b(?!\s*\()/g;
const OPERATORS = new Set(["and", "or", "unless", "bool", "offset"]);

/** Takes an expression apart as far as it takes to see what it names. */
export function namedBy(expression: string): Named {
  const plain = expression.replace(STRING, '""');
  const grouped = [...plain.matchAll(GROUPING)].flatMap(([, labels]) => labels.split(","));
  const matched = [...plain.matchAll(MATCHERS)].flatMap(([, matchers]) =>
    matchers.split(",").map((matcher) => matcher.split(/[=!]/)[0])
  );
  const rest = plain.replace(GROUPING, "").replace(MATCHERS, "").replace(RANGE, "");
  return {
    series: [...rest.matchAll(SERIES)].map(([name]) => name).filter((name) => !OPERATORS.has(name)),
    labels: [...grouped, ...matched].map((label) => label.trim()).filter((label) => label !== ""),
  };
}

/** What an expression names that does not exist; the labels of every metric that it names are those it may have. */
export function unknownIn(expression: string, metrics: readonly MetricDescription[]): readonly string[] {
  const bySeries = new Map(metrics.flatMap((metric) => seriesOf(metric).map((series) => [series, metric])));
  const { series, labels } = namedBy(expression);
  // What Prometheus adds when it scrapes.
  const known = new Set(["instance", "job", ...series.flatMap((name) => labelsOf(bySeries.get(name)))]);
  return [...series.filter((name) => !bySeries.has(name)), ...labels.filter((label) => !known.has(label))];
}

function seriesOf({ name, type }: MetricDescription): readonly string[] {
  return type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function labelsOf(metric: MetricDescription | undefined): readonly string[] {
  if (metric === undefined) return [];
  return metric.type === "histogram" ? [...metric.labels, "le"] : metric.labels;
}
