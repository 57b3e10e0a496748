// The floor of memory: a relay in Deno that holds idle TLS sessions, which begin with SSLRequest, in as little as it can.
// In: clients. Out: their bytes at PostgreSQL, where whoever they say they are is trusted. It reads no message.
import { connect, createServer, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { readFloorOptions } from "./floor_options.ts";

/** Where what comes by a socket goes: a socket has no closure of its own, and no promise waits for anything. */
const PEER = Symbol("peer");

type Paired = Socket & { [PEER]?: Paired };

const { port, backend, cert, key } = readFloorOptions();
const secureContext = createSecureContext({ cert, key });

const server = createServer({ noDelay: true, allowHalfOpen: true }, (carrier: Paired) => {
  carrier.on("error", ignore);
  // Listeners are never taken off: the table of those that are left would be five times as large.
  carrier.on("data", answerSslRequest);
});

server.listen(port, "127.0.0.1", () => console.log("ready"));

function answerSslRequest(this: Paired): void {
  this.pause();
  this.write("S");
  const client = new TLSSocket(this, { isServer: true, secureContext });
  pair(client, connect({ ...backend, noDelay: true, allowHalfOpen: true }));
}

function pair(client: Paired, server: Paired): void {
  client[PEER] = server;
  server[PEER] = client;
  for (const socket of [client, server]) {
    socket.on("data", carry);
    socket.on("drain", resumePeer);
    socket.on("end", endPeer);
    socket.on("error", ignore);
    socket.on("close", destroyPeer);
  }
}

function carry(this: Paired, chunk: Uint8Array): void {
  if (!this[PEER]!.write(chunk)) this.pause();
}

function resumePeer(this: Paired): void {
  this[PEER]!.resume();
}

function endPeer(this: Paired): void {
  this[PEER]!.end();
}

function destroyPeer(this: Paired): void {
  this[PEER]!.destroy();
}

function ignore(): void {}
