import assert from "node:assert/strict";
import { Socket } from "node:net";
import { setOwner, type SocketOwner, whenClosed } from "../../lib/stream/socket_owner.ts";

Deno.test("setOwner() has the owner told of everything", () => {
  const socket = new Socket();
  const { owner, told } = listener();
  setOwner(socket, owner, "secure");
  for (const event of ["secure", "data", "end", "drain", "error", "close"]) socket.emit(event, event);
  assert.deepEqual(told, ["began", "received data", "ended", "drained", "failed error", "closed"]);
});

Deno.test("setOwner() has nobody told who was told before", () => {
  const socket = new Socket();
  const [first, second] = [listener(), listener()];
  setOwner(socket, first.owner);
  setOwner(socket, second.owner);
  socket.emit("data", "more");
  setOwner(socket, null);
  socket.emit("data", "nobody's");
  assert.deepEqual([first.told, second.told], [[], ["received more"]]);
});

Deno.test("setOwner() adds no listeners for another owner, and shares them among sockets", () => {
  const one = new Socket();
  const other = new Socket();
  for (const socket of [one, one, other]) setOwner(socket, listener().owner);
  for (const event of ["data", "drain", "error", "close"]) {
    assert.equal(one.listeners(event).length, 1, event);
    assert.equal(one.listeners(event)[0], other.listeners(event)[0], event);
  }
});

Deno.test("setOwner() lets no error of a socket that is nobody's end the program", () => {
  const socket = new Socket();
  setOwner(socket, null);
  assert.equal(socket.emit("error", new Error("reset")), true);
});

Deno.test("whenClosed() acts whoever owns the socket then, by no listener of its own", () => {
  const socket = new Socket();
  const acts: string[] = [];
  whenClosed(socket, () => void acts.push("closed"));
  setOwner(socket, listener().owner);
  setOwner(socket, null);
  assert.equal(socket.listenerCount("close"), 1);
  socket.emit("close");
  assert.deepEqual(acts, ["closed"]);
});

/** An owner that writes down what it is told. */
function listener(): { readonly owner: SocketOwner; readonly told: string[] } {
  const told: string[] = [];
  const owner: SocketOwner = {
    began: () => void told.push("began"),
    received: (chunk) => void told.push(`received ${chunk}`),
    ended: () => void told.push("ended"),
    drained: () => void told.push("drained"),
    failed: (error) => void told.push(`failed ${error}`),
    closed: () => void told.push("closed"),
  };
  return { owner, told };
}
