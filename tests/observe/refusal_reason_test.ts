import assert from "node:assert/strict";
import { refusalReason } from "../../lib/observe/refusal_reason.ts";
import { SQLSTATE } from "../../lib/sqlstate.ts";

Deno.test.each<[sqlstate: string, fault: string | undefined, reason: string]>([
  ["28P01", "expired", "expired"],
  ["28P01", undefined, "invalid_password"],
  ["3D000", undefined, "invalid_catalog_name"],
  ["53400", undefined, "class_53"],
  ["P0001", undefined, "class_P0"],
  ["QQQQQ", undefined, "other"],
  ["", undefined, "other"],
  ["__proto__", undefined, "other"],
  ["constructor", undefined, "other"],
])("refusalReason() of %s with the fault %s is %s", (sqlstate, fault, reason) => {
  assert.equal(refusalReason({ sqlstate, fault }), reason);
});

Deno.test("refusalReason() has a name for each code of an error of ours", () => {
  for (const [name, sqlstate] of Object.entries(SQLSTATE).filter(([name]) => name !== "warning")) {
    const snakeCase = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    assert.equal(refusalReason({ sqlstate }), snakeCase);
  }
});
