// The floor of a plain relay in Deno over the sockets of node:net.
// In: clients. Out: their bytes at PostgreSQL, where whoever they say they are is trusted. It reads no message.
import { connect, createServer, type Socket } from "node:net";
import { readFloorOptions } from "./floor_options.ts";

const { port, backend } = readFloorOptions();

const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const server = connect({ ...backend, noDelay: true, allowHalfOpen: true });
  carry(client, server);
  carry(server, client);
});

server.listen(port, "127.0.0.1", () => console.log("ready"));

/** One listener, no promises, no buffer of its own: `pipe` does the same by more listeners. */
function carry(from: Socket, to: Socket): void {
  from.on("data", (chunk) => {
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", () => void from.resume());
  from.on("end", () => to.end());
  from.on("error", () => {});
  from.on("close", () => to.destroy());
}
