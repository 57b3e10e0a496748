import assert from "node:assert/strict";
import { namedBy, unknownIn } from "./promql.ts";

const METRICS = [
  { name: "logins_total", type: "counter", labels: ["result"], help: "" },
  { name: "login_seconds", type: "histogram", labels: ["stage"], help: "" },
] as const;

Deno.test("namedBy() finds the series and the labels of an expression", () => {
  const expression =
    'histogram_quantile(0.9, sum by (le, stage) (rate(login_seconds_bucket{result!~"a{b,c}"}[5m]))) / time() > 2 and up';
  assert.deepEqual(namedBy(expression), {
    series: ["login_seconds_bucket", "up"],
    labels: ["le", "stage", "result"],
  });
});

Deno.test.each<[expression: string, unknown: readonly string[]]>([
  ['sum by (result) (rate(logins_total{instance="a"}[5m]))', []],
  ["sum(rate(login_seconds_sum[5m])) / sum(rate(login_seconds_count[5m]))", []],
  ["sum by (le) (login_seconds_bucket)", []],
  ["rate(login_total[5m])", ["login_total"]],
  ["login_seconds", ["login_seconds"]],
  ["logins_total_bucket", ["logins_total_bucket"]],
  ["sum by (stage) (logins_total)", ["stage"]],
  ['logins_total{resullt="success"}', ["resullt"]],
  ["sum by (le) (logins_total)", ["le"]],
])("unknownIn() of %s finds %j", (expression, unknown) => {
  assert.deepEqual(unknownIn(expression, METRICS), unknown);
});
