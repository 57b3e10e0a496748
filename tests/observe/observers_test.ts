import assert from "node:assert/strict";
import type { ProxyEvent } from "../../lib/observe/events.ts";
import { tellAll } from "../../lib/observe/observers.ts";

const event: ProxyEvent = { kind: "drained", sessionsCut: 0 };

Deno.test("tellAll() tells each observer, in order", () => {
  const told: string[] = [];
  tellAll([() => void told.push("one"), () => void told.push("two")], (error) => assert.fail(String(error)))(
    event,
  );
  assert.deepEqual(told, ["one", "two"]);
});

Deno.test("tellAll() goes on behind one that throws, and complains of it once", () => {
  const told: string[] = [];
  const complaints: unknown[] = [];
  const broken = () => {
    throw new Error("broken");
  };
  const observe = tellAll([broken, () => void told.push("two")], (error) => complaints.push(error));
  observe(event);
  observe(event);
  assert.deepEqual(told, ["two", "two"]);
  assert.deepEqual(complaints.map(String), ["Error: broken"]);
});
