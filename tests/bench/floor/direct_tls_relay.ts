// The floor of a relay in Deno for clients that begin with TLS at once (sslnegotiation=direct): Deno's own TLS listener.
// In: clients. Out: their bytes at PostgreSQL, where whoever they say they are is trusted. It reads no message.
//
// The proxy cannot be had for this: Deno 2.9's TLS connections know neither `setNoDelay` nor `setKeepAlive`. A result of more
// than one write waits 40 ms for the client's delayed acknowledgement, and a client that is gone is never noticed.
import { readFloorOptions } from "./floor_options.ts";

/** Enough for COPY; what an idle session costs is not this program's question. */
const BUFFER_BYTES = 64 * 1024;

const { port, backend, cert, key } = readFloorOptions();
const listener = Deno.listenTls({ hostname: "127.0.0.1", port, cert, key, alpnProtocols: ["postgresql"] });
console.log("ready");
for await (const client of listener) void serve(client);

async function serve(client: Deno.TlsConn): Promise<void> {
  using _client = client;
  using server = await Deno.connect({ hostname: backend.host, port: backend.port });
  server.setNoDelay(true);
  await Promise.allSettled([carry(client, server), carry(server, client)]);
}

/** Two promises for each chunk, its read and its write, and one buffer. */
async function carry(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  for (;;) {
    const length = await from.read(buffer);
    if (length === null) return await to.closeWrite();
    for (let at = 0; at < length;) at += await to.write(buffer.subarray(at, length));
  }
}
