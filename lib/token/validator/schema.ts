import * as v from "valibot";

/** The table `validator` of an issuer. */
export const validatorSchema = v.strictObject({
  command: v.pipe(
    v.array(v.string('"command" must be an array of text')),
    v.nonEmpty('"command" must name a program'),
  ),
});

/** The table as read. */
export type ValidatorSettings = v.InferOutput<typeof validatorSchema>;
