import * as v from "valibot";

/** The table `[audit]`: where each login, refusal and end of a session is recorded; without a file, nowhere. */
export const auditSchema = v.strictObject({
  file: v.optional(v.pipe(
    v.string("must be the path of a file"),
    v.minLength(1, "must be the path of a file"),
  )),
});

/** The table `[audit]` as read. */
export type AuditSettings = v.InferOutput<typeof auditSchema>;
