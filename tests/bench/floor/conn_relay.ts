// The floor of a plain relay in Deno over Deno's own connections.
// In: clients. Out: their bytes at PostgreSQL, where whoever they say they are is trusted. It reads no message.
import { serve } from "./conn_carrying.ts";
import { readFloorOptions } from "./floor_options.ts";

const { port, backend } = readFloorOptions();
const listener = Deno.listen({ hostname: "127.0.0.1", port });
console.log("ready");
for await (const client of listener) {
  client.setNoDelay(true);
  void serve(client, backend);
}
