import * as v from "valibot";

/** What is wrong with a value of the configuration, as a sentence that follows the key's name: "must be …", "is not …". */
export class Mistake extends Error {
  override readonly name = "Mistake";
}

/** A schema step that turns a value into its type by `parse`, and a {@link Mistake} into one issue. */
export function parsedBy<Input, Output>(parse: (input: Input) => Output) {
  return v.rawTransform<Input, Output>(({ dataset, addIssue, NEVER }) => {
    try {
      return parse(dataset.value);
    } catch (thrown) {
      if (!(thrown instanceof Mistake)) throw thrown;
      addIssue({ message: thrown.message });
      return NEVER;
    }
  });
}

/** What is said of one key of a table, as an issue that a check of the whole table adds. */
export function issueOf(
  input: Record<string, unknown>,
  { key, message }: { readonly key: string; readonly message: string },
) {
  const item: v.ObjectPathItem = { type: "object", origin: "value", input, key, value: input[key] };
  return { message, path: [item] as [v.ObjectPathItem] };
}
