import assert from "node:assert/strict";
import type { Salting } from "../../lib/connect/questions.ts";
import { ScramKeyMemory } from "../../lib/connect/scram_key_memory.ts";
import { scramKeys } from "../../lib/connect/scram_keys.ts";
import { Secret } from "../../lib/secret.ts";

/** As many keys as are kept of one password. */
const CAPACITY = 1_000;

const PASSWORD = new Secret("pencil");
const SALTING: Salting = { password: PASSWORD, salt: saltOf(1), iterations: 4096 };

Deno.test("keysOf() computes once what many logins ask for, one after another or at once", async () => {
  const { memory, computed } = counting();
  const [first, second] = await Promise.all([memory.keysOf(SALTING), memory.keysOf(SALTING)]);
  const third = await memory.keysOf({ ...SALTING, salt: saltOf(1) });
  assert.equal(computed.length, 1);
  assert.equal(second, first);
  assert.equal(third, first);
});

Deno.test("keysOf() gives the keys of the salted password", async () => {
  const { memory } = counting();
  assert.deepEqual(await memory.keysOf(SALTING), scramKeys(saltedBy(SALTING)));
});

Deno.test.each<{ case: string; change: Partial<Salting> }>([
  { case: "another salt", change: { salt: saltOf(2) } },
  { case: "another count of iterations", change: { iterations: 8192 } },
  { case: "another password", change: { password: new Secret("pen") } },
  { case: "a password that was configured anew", change: { password: new Secret("pencil") } },
])("keysOf() computes anew for $case", async ({ change }) => {
  const { memory, computed } = counting();
  await memory.keysOf(SALTING);
  assert.deepEqual(
    await memory.keysOf({ ...SALTING, ...change }),
    scramKeys(saltedBy({ ...SALTING, ...change })),
  );
  assert.equal(computed.length, 2);
});

Deno.test("B1 a backend with a new salt for each login fills no more than its place", async () => {
  const { memory, computed } = counting();
  const ask = (salt: number) => memory.keysOf({ ...SALTING, salt: saltOf(salt) });
  for (let salt = 0; salt < CAPACITY; salt++) await ask(salt);
  await ask(0); // the one that is asked for stays
  await ask(CAPACITY);
  const before = computed.length;
  await ask(0);
  await ask(CAPACITY);
  assert.equal(computed.length, before);
  await ask(1);
  assert.equal(computed.length, before + 1);
});

Deno.test("keysOf() keeps nothing of what could not be computed", async () => {
  let isBroken = true;
  const memory = new ScramKeyMemory((salting) =>
    isBroken ? Promise.reject(new Error("broken")) : Promise.resolve(saltedBy(salting))
  );
  await assert.rejects(memory.keysOf(SALTING), /broken/);
  isBroken = false;
  assert.deepEqual(await memory.keysOf(SALTING), scramKeys(saltedBy(SALTING)));
});

function counting() {
  const computed: Salting[] = [];
  const memory = new ScramKeyMemory((salting) => {
    computed.push(salting);
    return Promise.resolve(saltedBy(salting));
  });
  return { memory, computed };
}

/** Stands for the salted password: other words give another. */
function saltedBy({ password, salt, iterations }: Salting): Uint8Array {
  return new TextEncoder().encode(`${password.reveal()} ${salt.toHex()} ${iterations}`);
}

function saltOf(number: number): Uint8Array {
  return new Uint8Array(new Uint32Array([number]).buffer);
}
