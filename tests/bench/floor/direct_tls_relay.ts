// The floor of a relay in Deno for clients that begin with TLS at once (sslnegotiation=direct): Deno's own TLS listener.
// In: clients. Out: their bytes at PostgreSQL, where whoever they say they are is trusted. It reads no message.
//
// The proxy cannot be had for this: Deno 2.9's TLS connections know neither `setNoDelay` nor `setKeepAlive`. A result of more
// than one write waits 40 ms for the client's delayed acknowledgement, and a client that is gone is never noticed.
import { serve } from "./conn_carrying.ts";
import { readFloorOptions } from "./floor_options.ts";

const { port, backend, cert, key } = readFloorOptions();
const listener = Deno.listenTls({ hostname: "127.0.0.1", port, cert, key, alpnProtocols: ["postgresql"] });
console.log("ready");
for await (const client of listener) void serve(client, backend);
