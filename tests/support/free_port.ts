/**
 * A port that is free on 127.0.0.1 and ::1. It is below the range that the kernel takes for outgoing connections: there,
 * one could take it while the server restarts.
 */
export function freePort(): number {
  while (true) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (["127.0.0.1", "::1"].every((hostname) => isFree(hostname, port))) return port;
  }
}

/** Whether nobody listens on the address. */
export function isFree(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return true;
  } catch (thrown) {
    return !(thrown instanceof Deno.errors.AddrInUse); // a machine without IPv6 has every port of it free
  }
}
