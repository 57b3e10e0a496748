import type { ConfigurationSource } from "../config/load.ts";
import type { Outside } from "../config/named_file.ts";

/** Everything a configuration was read from, so that it can be read once more and be the same, whatever the disk says then. */
export interface ReadInputs {
  readonly source: ConfigurationSource;
  /** Texts by path, as the path was asked for. */
  readonly files: ReadonlyMap<string, string>;
  readonly variables: ReadonlyMap<string, string | undefined>;
}

/** Reads as `outside` does, and remembers what it was. */
export function recording(
  source: ConfigurationSource,
  outside: Pick<Outside, "readTextFile" | "getEnv">,
): { readonly outside: Pick<Outside, "readTextFile" | "getEnv">; readonly inputs: ReadInputs } {
  const files = new Map<string, string>();
  const variables = new Map<string, string | undefined>();
  return {
    inputs: { source, files, variables },
    outside: {
      readTextFile: async (path) => {
        const text = await outside.readTextFile(path);
        files.set(path, text);
        return text;
      },
      getEnv: (name) => {
        const value = outside.getEnv(name);
        variables.set(name, value);
        return value;
      },
    },
  };
}

/** Reads what was read before. */
export function reading({ files, variables }: ReadInputs): Pick<Outside, "readTextFile" | "getEnv"> {
  return {
    readTextFile: (path) => {
      const text = files.get(path);
      return text === undefined
        ? Promise.reject(new Deno.errors.NotFound(`${path} was not read before`))
        : Promise.resolve(text);
    },
    getEnv: (name) => variables.get(name),
  };
}
