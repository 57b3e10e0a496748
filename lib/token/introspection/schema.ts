import * as v from "valibot";

/** The table `introspection` of an issuer. */
export const introspectionSchema = v.strictObject({
  endpoint: v.optional(v.string('"endpoint" must be text')),
});

/** The table as read. */
export type IntrospectionSettings = v.InferOutput<typeof introspectionSchema>;
