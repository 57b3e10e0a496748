import assert from "node:assert/strict";
import { EXPIRES, good, loop, say, scripted } from "./scripted_validator.ts";

const NO_OBJECT = "has written a line that is not one JSON object";
const UNOWED = "has answered a question that it does not owe";
const UNKNOWN = "has answered with a member that the protocol does not have";
const wrong = (name: string) => `has answered with a wrong or missing "${name}"`;
const GOOD = `"authorized":true,"expires":${EXPIRES}`;

Deno.test.each([
  ["a word", "ok", NO_OBJECT],
  ["an empty line", "", NO_OBJECT],
  ["an array", `[{"id":1,${GOOD}}]`, NO_OBJECT],
  ["half an object", `{"id":1,${GOOD}`, NO_OBJECT],
  ["two objects", `{"id":1,${GOOD}}{"id":2,${GOOD}}`, NO_OBJECT],
  ["a member twice", `{"id":1,"authorized":false,${GOOD}}`, NO_OBJECT],
  ["bytes that are not UTF-8", `{"id":1,${GOOD},"identity":"\xff"}`, NO_OBJECT],
  ["half a surrogate pair", `{"id":1,${GOOD},"identity":"\\ud800"}`, NO_OBJECT],
  ["no id", `{${GOOD}}`, wrong("id")],
  ["an id that is text", `{"id":"1",${GOOD}}`, wrong("id")],
  ["an id that nobody has", `{"id":3,${GOOD}}`, UNOWED],
  ["an id of before", `{"id":0,${GOOD}}`, UNOWED],
  ["a fraction of an id", `{"id":1.5,${GOOD}}`, wrong("id")],
  ["no verdict", `{"id":1,"expires":${EXPIRES}}`, wrong("authorized")],
  ["a verdict that is text", `{"id":1,"authorized":"true","expires":${EXPIRES}}`, wrong("authorized")],
  ["a verdict that is a number", `{"id":1,"authorized":1,"expires":${EXPIRES}}`, wrong("authorized")],
  ["no end", '{"id":1,"authorized":true}', 'has authorized a login without "expires"'],
  [
    "null for the end",
    '{"id":1,"authorized":true,"expires":null}',
    'has authorized a login without "expires"',
  ],
  ["an end that is text", '{"id":1,"authorized":true,"expires":"2030-01-01"}', wrong("expires")],
  ["an end that never comes", '{"id":1,"authorized":true,"expires":1e309}', wrong("expires")],
  ["an end before 1970", '{"id":1,"authorized":true,"expires":-1}', wrong("expires")],
  ["an identity that is a number", `{"id":1,${GOOD},"identity":7}`, wrong("identity")],
  ["an empty identity", `{"id":1,${GOOD},"identity":""}`, wrong("identity")],
  ["roles that are text", `{"id":1,${GOOD},"roles":"dba"}`, wrong("roles")],
  ["roles that are numbers", `{"id":1,${GOOD},"roles":[1]}`, wrong("roles")],
  ["an empty role", `{"id":1,${GOOD},"roles":[""]}`, wrong("roles")],
  ["a reason that is an object", `{"id":1,"authorized":false,"reason":{}}`, wrong("reason")],
  ["a misspelt member", `{"id":1,${GOOD},"role":["dba"]}`, UNKNOWN],
  ["a member named __proto__", `{"id":1,${GOOD},"__proto__":{"identity":"dba"}}`, UNKNOWN],
])(
  "an answer with %s costs all who wait their login, and the program its life",
  async (_name, line, problem) => {
    const bytes = Uint8Array.from(`${line}\n`, (character) => character.charCodeAt(0));
    await using scene = await scripted(`read -r one; read -r two; cat answer; exec sleep 60`);
    await Deno.writeFile(`${scene.directory.path}/answer`, bytes);
    const refusals = [scene.refusal(), scene.refusal()];
    const expected = `validator_unavailable: The validator ${problem}`;
    assert.deepEqual(await Promise.all(refusals), [expected, expected]);
    assert.deepEqual(await scene.restarts(1), [`The validator ${problem}, 100 ms`]);
  },
);

Deno.test("an answer given twice costs the program its life", async () => {
  const answer = say(good("alice"), 1);
  await using scene = await scripted(`read -r one; read -r two; ${answer}; ${answer}; exec sleep 60`);
  const [one, two] = [scene.validate(), scene.refusal()];
  assert.equal((await one).sub, "alice");
  assert.equal(await two, `validator_unavailable: The validator ${UNOWED}`);
  await scene.restarts(1);
});

Deno.test("a word of the program's own before any question costs it its life", async () => {
  await using scene = await scripted("echo ready; exec sleep 60");
  assert.deepEqual(await scene.restarts(1), [`The validator ${NO_OBJECT}, 100 ms`]);
});

Deno.test.each([[65_536, true], [65_537, false]])(
  "an answer of %i bytes is taken: %s",
  async (length, isTaken) => {
    const [before, after] = ['{"id":1,"authorized":false,"reason":"', '"}'];
    const filler = "x".repeat(length - before.length - after.length);
    await using scene = await scripted("read -r one; cat answer; read -r end");
    await scene.directory.write("answer", `${before}${filler}${after}\n`);
    const says = await scene.refusal();
    if (isTaken) return assert.match(says, /^not_authorized/);
    assert.equal(says, "validator_unavailable: The validator has written a line of more than 65536 bytes");
    await scene.restarts(1);
  },
);

Deno.test("a line without an end is given up as soon as it is too long", async () => {
  await using scene = await scripted("exec cat /dev/zero");
  assert.deepEqual(await scene.restarts(1), [
    "The validator has written a line of more than 65536 bytes, 100 ms",
  ]);
});

Deno.test("answers in pieces, and several in one, are the same answers", async () => {
  const [one, two, three] = [1, 2, 3].map((id) => `{"id":${id},"identity":"${id}",${GOOD}}`);
  await using scene = await scripted(`read -r one; read -r two; read -r three
    printf '%s' '${one.slice(0, 9)}'; /bin/true; printf '%s\\n%s\\n%s' '${one.slice(9)}' '${two}' '${
    three.slice(0, 5)
  }'
    /bin/true; printf '%s\\n' '${three.slice(5)}'; ${loop("")}`);
  const claims = await Promise.all([scene.validate(), scene.validate(), scene.validate()]);
  assert.deepEqual(claims.map(({ sub }) => sub), ["1", "2", "3"]);
});
