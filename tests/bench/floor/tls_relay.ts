// The floor of a relay in Deno that TLS clients come to as PostgreSQL's do: SSLRequest, "S", and TLS over the same socket.
// In: clients. Out: their bytes at PostgreSQL, where whoever they say they are is trusted. It reads no message.
import { readFloorOptions } from "./floor_options.ts";
import { serveTls } from "./tls_carrying.ts";

serveTls(readFloorOptions());
