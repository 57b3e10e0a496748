import assert from "node:assert/strict";
import { describeMetrics, TABLE_FILE, withTable } from "../../tools/metrics_table.ts";
import { NEEDS_PROMTOOL, PROMTOOL, promtool } from "../observe/promtool.ts";
import { unknownIn } from "./promql.ts";

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly definition?: string }[] };
}

const DASHBOARD = new URL("../../dashboards/pg-auth-proxy.json", import.meta.url);
const { panels, templating } = JSON.parse(await Deno.readTextFile(DASHBOARD)) as Dashboard;
const readme = await Deno.readTextFile(TABLE_FILE);
const about = await Deno.readTextFile(new URL("../../dashboards/README.md", import.meta.url));
const metrics = describeMetrics();

const expressions = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }): [string, string] => [title, expr])
);
const alerts = [...about.split("What is worth an alert")[1].matchAll(/^\| `(.+?)`/gm)].map((
  [, expression],
): [string, string] => ["an alert", expression]);

Deno.test("the dashboard has panels, and its README.md alerts, to be looked at", () => {
  assert(expressions.length > 30, String(expressions.length));
  assert(alerts.length > 5, String(alerts.length));
});

Deno.test.each([...expressions, ...alerts])(
  "%s names only metrics and labels that exist: %s",
  (_where, expression) => {
    assert.deepEqual(unknownIn(expression, metrics), []);
  },
);

Deno.test("the dashboard's variables name only metrics that exist", () => {
  const names = templating.list.flatMap(({ definition }) =>
    /label_values\((\w+),/.exec(definition ?? "")?.[1] ?? []
  );
  assert.deepEqual(names.map((name) => unknownIn(name, metrics)), [[]]);
});

Deno.test("the dashboard's panels have ids of their own and do not lie over one another", () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const [index, { title, gridPos: one }] of panels.entries()) {
    assert(one.x + one.w <= 24, title);
    for (const { title: below, gridPos: other } of panels.slice(index + 1)) {
      const isApart = one.x + one.w <= other.x || other.x + other.w <= one.x || one.y + one.h <= other.y ||
        other.y + other.h <= one.y;
      assert(isApart, `${title} and ${below}`);
    }
  }
});

Deno.test({
  name: `promtool understands every expression${NEEDS_PROMTOOL}`,
  ignore: PROMTOOL === undefined,
  async fn() {
    const rules = [...expressions, ...alerts].map(([, expr], index) => ({
      record: `expression:${index}`,
      expr: expr.replaceAll("$__rate_interval", "5m"),
    }));
    const file = await Deno.makeTempFile({ suffix: ".yml" });
    try {
      // YAML takes JSON as it is.
      await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
      const { code, says } = await promtool(["check", "rules", "--lint=none", file]);
      assert.equal(code, 0, says.join("\n"));
      assert(says.some((line) => line.includes(`${rules.length} rules found`)), says.join("\n"));
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test("the table of metrics is what tools/metrics_table.ts writes", () => {
  assert.equal(withTable(readme), readme, "run: deno run -RW tools/metrics_table.ts");
});
