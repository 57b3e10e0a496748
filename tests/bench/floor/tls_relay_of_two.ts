// The floor of a relay in Deno for TLS clients with two event loops: threads that listen on one port, and the system spreads
// the clients. In: clients. Out: their bytes at PostgreSQL, where whoever they say they are is trusted. It reads no message.
import { readFloorOptions } from "./floor_options.ts";
import { serveTls } from "./tls_carrying.ts";

const LOOPS = 2;

if ("WorkerGlobalScope" in globalThis) {
  serveTls(readFloorOptions(), { isShared: true });
} else {
  for (let loop = 0; loop < LOOPS; loop++) new Worker(import.meta.url, { type: "module" });
}
