// The floor of a plain relay in Deno over Deno's own connections.
// In: clients. Out: their bytes at PostgreSQL, where whoever they say they are is trusted. It reads no message.
import { readFloorOptions } from "./floor_options.ts";

/** Enough for COPY; what an idle session costs is not this program's question. */
const BUFFER_BYTES = 64 * 1024;

const { port, backend } = readFloorOptions();
const listener = Deno.listen({ hostname: "127.0.0.1", port });
console.log("ready");
for await (const client of listener) void serve(client);

async function serve(client: Deno.TcpConn): Promise<void> {
  using _client = client;
  using server = await Deno.connect({ hostname: backend.host, port: backend.port });
  client.setNoDelay(true);
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
