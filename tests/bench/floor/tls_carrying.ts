import { connect, createServer, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { FloorOptions } from "./floor_options.ts";

const SSL_REQUEST_LENGTH = 8;

/** Carries between clients, who begin with SSLRequest, and PostgreSQL. With `isShared`, other event loops may listen there too. */
export function serveTls(
  { port, backend, cert, key }: FloorOptions,
  { isShared = false }: { readonly isShared?: boolean } = {},
): void {
  const secureContext = createSecureContext({ cert, key });

  const server = createServer({ noDelay: true, allowHalfOpen: true }, (carrier) => {
    carrier.on("error", ignore);
    carrier.once("data", (request) => {
      if (request.length !== SSL_REQUEST_LENGTH) return void carrier.destroy();
      carrier.pause();
      carrier.write("S");
      const client = new TLSSocket(carrier, {
        isServer: true,
        secureContext,
        ALPNProtocols: ["postgresql"],
      });
      const server = connect({ ...backend, noDelay: true, allowHalfOpen: true });
      carry(client, server);
      carry(server, client);
    });
  });

  server.listen({ port, host: "127.0.0.1", reusePort: isShared }, () => console.log("ready"));
}

/**
 * One listener, no promises, no buffer of its own. No cheaper were `pipe`, `onread` with one buffer for all, and a connection
 * of Deno's own on the other side.
 */
function carry(from: Socket, to: Socket): void {
  const resume = () => void from.resume();
  from.on("data", (chunk) => {
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", resume);
  from.on("end", () => to.end());
  from.on("error", ignore);
  from.on("close", () => to.destroy());
}

function ignore(): void {}
