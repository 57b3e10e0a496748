import * as v from "valibot";
import type { Challenge } from "./challenge.ts";
import type { MethodName } from "./methods.ts";

const texts = v.pipe(v.array(v.string("must be text in quotes"), "must be an array of text"), v.minLength(1));

/** One table of `[[ways_in]]`: for which connections, and how they present their token. */
export const wayInSchema = v.strictObject({
  listeners: v.optional(texts),
  server_names: v.optional(texts),
  networks: v.optional(texts),
  databases: v.optional(texts),
  users: v.optional(texts),
  method: v.picklist(["password", "oauthbearer"], 'must be "password" or "oauthbearer"'),
  issuer: v.optional(v.string("must be text in quotes")),
  scope: v.optional(v.string("must be text in quotes")),
});

/** A table of `[[ways_in]]` as read. */
export type WayInSettings = v.InferOutput<typeof wayInSchema>;

/** A way in, with what is known of its issuer. */
export interface WayIn {
  readonly method: MethodName;
  /** Name of the only issuer whose tokens are taken; undefined: any. */
  readonly issuer?: string;
  /** Of `oauthbearer`. */
  readonly challenge?: Challenge;
}
