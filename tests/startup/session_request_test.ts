import assert from "node:assert/strict";
import fc from "fast-check";
import { PgError } from "../../lib/errors.ts";
import { parseOptions } from "../../lib/startup/options.ts";
import { readSessionRequest } from "../../lib/startup/session_request.ts";

const POLICY = {
  allowed: new Set(["application_name", "search_path", "statement_timeout"]),
  dropped: new Set(["geqo"]),
};

Deno.test("readSessionRequest() takes the user's name for a database that is not named", () => {
  assert.equal(read({ user: "alice" }).database, "alice");
  assert.equal(read({ user: "alice", database: "orders" }).database, "orders");
});

Deno.test.each<[Record<string, string>]>([[{}], [{ user: "" }]])(
  "readSessionRequest() refuses %j, which names no user",
  (parameters) => refuses(parameters),
);

Deno.test("readSessionRequest() passes allowed parameters on in lower case", () => {
  assert.deepEqual([...read({ user: "a", Search_Path: "x" }).settings], [["search_path", "x"]]);
});

Deno.test("readSessionRequest() drops what is to be ignored", () => {
  assert.deepEqual([...read({ user: "a", geqo: "off" }).settings], []);
});

Deno.test("readSessionRequest() leaves _pq_. options to version negotiation", () => {
  assert.deepEqual([...read({ user: "a", "_pq_.x": "1" }).settings], []);
});

Deno.test("readSessionRequest() reads options as settings, and a parameter by its own name wins", () => {
  const { settings } = read({
    user: "a",
    options: "-c statement_timeout=5s --search-path=a\\ b",
    statement_timeout: "1s",
  });
  assert.deepEqual([...settings], [["statement_timeout", "1s"], ["search_path", "a b"]]);
});

Deno.test.each<[Record<string, string>]>([
  [{ role: "postgres" }],
  [{ ROLE: "postgres" }],
  [{ session_authorization: "postgres" }],
  [{ options: "-c role=postgres" }],
  [{ options: "-crole=postgres" }],
  [{ options: "--role=postgres" }],
  [{ options: "--session-authorization=postgres" }],
  [{ options: "-c search_path=x -c role=postgres" }],
  [{ options: "-d 5" }],
  [{ options: "-c" }],
  [{ options: "-c =x" }],
  [{ options: "search_path=x" }],
  [{ "crdb:remote_addr": "10.0.0.1:1" }],
  [{ "crdb:session_revival_token_base64": "AAAA" }],
])("W11 A16 %j is refused with 28000", (parameters) => refuses({ user: "a", ...parameters }));

Deno.test("W16 the name of a refused parameter is not repeated when it is no word", () => {
  assert.throws(() => read({ user: "a", "x\n\u202e": "1" }), {
    message: 'startup parameter "?" is not allowed',
  });
});

Deno.test.each<[string, string | null]>([
  ["true", "true"],
  ["database", "database"],
  ["1", "1"],
  ["on", "on"],
  ["false", null],
  ["0", null],
  ["off", null],
  ["no", null],
  ["", null],
])("readSessionRequest() reads replication=%s as %s", (value, expected) => {
  assert.equal(read({ user: "a", replication: value }).replication, expected);
});

Deno.test.each<[string, [string, string][]]>([
  ["", []],
  ["  \t ", []],
  ["-c a=b", [["a", "b"]]],
  ["-ca=b", [["a", "b"]]],
  ["--a-b=c-d", [["a_b", "c-d"]]],
  ["-c a=b=c", [["a", "b=c"]]],
  ["-c a=x\\\\y", [["a", "x\\y"]]],
  ["-c a=", [["a", ""]]],
])("parseOptions(%j) gives %j", (options, expected) => {
  assert.deepEqual(parseOptions(options), expected);
});

Deno.test("parseOptions() gives settings or a refusal, whatever it is given", () => {
  fc.assert(fc.property(fc.string(), (options) => {
    try {
      parseOptions(options);
    } catch (error) {
      assert(error instanceof PgError);
    }
  }));
});

function read(parameters: Record<string, string>) {
  return readSessionRequest(new Map(Object.entries(parameters)), POLICY);
}

function refuses(parameters: Record<string, string>): void {
  assert.throws(() => read(parameters), { name: "PgError", sqlstate: "28000" });
}
