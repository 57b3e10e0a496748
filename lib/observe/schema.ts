import * as v from "valibot";

/** The `[log]` table: what is written to standard error, or to a file. */
export const logSchema = v.strictObject({
  level: v.optional(
    v.picklist(
      ["error", "warn", "info", "debug", "trace"],
      'must be "error", "warn", "info", "debug" or "trace"',
    ),
    "info",
  ),
  format: v.optional(
    v.picklist(["text", "json", "fluent"], 'must be "text", "json" or "fluent"'),
    "text",
  ),
  file: v.optional(v.pipe(
    v.string("must be the path of a file"),
    v.minLength(1, "must be the path of a file"),
  )),
});

/** The `[log]` table as read. */
export type LogSettings = v.InferOutput<typeof logSchema>;
