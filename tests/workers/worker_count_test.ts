import assert from "node:assert/strict";
import { workerCount } from "../../lib/workers/worker_count.ts";

Deno.test.each<[workers: number | "auto", cores: number, count: number]>([
  [3, 8, 3],
  ["auto", 1, 1],
  ["auto", 8, 8],
  ["auto", 64, 64],
  ["auto", 192, 64],
])("workerCount() of %j on %d cores is %d", (workers, cores, count) => {
  assert.equal(workerCount(workers, cores), count);
});
