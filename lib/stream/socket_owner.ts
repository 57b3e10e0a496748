import type { Socket } from "node:net";

/** Who is told of what happens to a socket. */
export interface SocketOwner {
  /** It is connected, or its TLS handshake is over. */
  began(): void;
  received(chunk: Uint8Array): void;
  /** The peer sends no more. */
  ended(): void;
  /** What was written has left: it takes more. */
  drained(): void;
  failed(error: Error): void;
  closed(): void;
}

/** The event by which a socket says that it has begun. */
export type Beginning = "connect" | "secure" | "secureConnect";

const OWNER = Symbol("owner");
const WHEN_CLOSED = Symbol("when closed");

type OwnedSocket = Socket & { [OWNER]?: SocketOwner | null; [WHEN_CLOSED]?: () => void };

/**
 * From now on `owner` is told, and who was told before is not; `null`: nobody is.
 *
 * All sockets share their listeners, and none is ever taken off: five closures for each socket are 300 bytes, and a table of
 * listeners that one was taken off is five times as large. There may be thousands of sockets, all of them idle.
 */
export function setOwner(socket: OwnedSocket, owner: SocketOwner | null, beginning?: Beginning): void {
  const isListenedTo = OWNER in socket;
  socket[OWNER] = owner;
  if (isListenedTo) return;
  socket.on("data", onData);
  socket.on("end", onEnd);
  socket.on("drain", onDrain);
  // Without this one, an error would end the program.
  socket.on("error", onError);
  socket.on("close", onClose);
  if (beginning !== undefined) socket.on(beginning, onBeginning);
}

/** `act` is called when the socket is closed, whoever owns it then: a third listener would cost 140 bytes. */
export function whenClosed(socket: OwnedSocket, act: () => void): void {
  if (!(OWNER in socket)) setOwner(socket, null);
  socket[WHEN_CLOSED] = act;
}

function onBeginning(this: OwnedSocket): void {
  this[OWNER]?.began();
}

function onData(this: OwnedSocket, chunk: Uint8Array): void {
  this[OWNER]?.received(chunk);
}

function onEnd(this: OwnedSocket): void {
  this[OWNER]?.ended();
}

function onDrain(this: OwnedSocket): void {
  this[OWNER]?.drained();
}

function onError(this: OwnedSocket, error: Error): void {
  this[OWNER]?.failed(error);
}

function onClose(this: OwnedSocket): void {
  this[OWNER]?.closed();
  this[WHEN_CLOSED]?.();
}
