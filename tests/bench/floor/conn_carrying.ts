/** Enough for COPY; what an idle session costs is not this program's question. */
const BUFFER_BYTES = 64 * 1024;

/** Carries between a client and PostgreSQL until both have ended. */
export async function serve(
  client: Deno.Conn,
  backend: { readonly host: string; readonly port: number },
): Promise<void> {
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
