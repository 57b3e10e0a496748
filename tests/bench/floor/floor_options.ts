import { parseArgs } from "node:util";

/** What a floor is told on its command line: `--listen PORT --backend HOST:PORT [--cert FILE --key FILE]`. */
export interface FloorOptions {
  readonly port: number;
  readonly backend: { readonly host: string; readonly port: number };
  /** PEM; empty where there is no TLS. */
  readonly cert: string;
  readonly key: string;
}

/** Reads the command line. */
export function readFloorOptions(): FloorOptions {
  const { values } = parseArgs({
    options: {
      listen: { type: "string", default: "0" },
      backend: { type: "string", default: "127.0.0.1:5432" },
      cert: { type: "string" },
      key: { type: "string" },
    },
  });
  const colon = values.backend.lastIndexOf(":");
  return {
    port: Number(values.listen),
    backend: { host: values.backend.slice(0, colon), port: Number(values.backend.slice(colon + 1)) },
    cert: values.cert === undefined ? "" : Deno.readTextFileSync(values.cert),
    key: values.key === undefined ? "" : Deno.readTextFileSync(values.key),
  };
}
