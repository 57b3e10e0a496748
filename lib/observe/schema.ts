import * as v from "valibot";

/** The `[log]` table: what is written to standard error. */
export const logSchema = v.strictObject({
  level: v.optional(
    v.picklist(
      ["error", "warn", "info", "debug", "trace"],
      'must be "error", "warn", "info", "debug" or "trace"',
    ),
    "info",
  ),
  format: v.optional(v.picklist(["text", "json"], 'must be "text" or "json"'), "text"),
});

/** The `[log]` table as read. */
export type LogSettings = v.InferOutput<typeof logSchema>;
