import assert from "node:assert/strict";
import { asPgError, PgError, protocolViolation } from "../lib/errors.ts";
import { Secret } from "../lib/secret.ts";

Deno.test("PgError is FATAL and the client's fault unless it says otherwise", () => {
  const error = new PgError("28000", "TLS is required");
  assert.deepEqual([error.severity, error.blame], ["FATAL", "frontend"]);
});

Deno.test("PgError carries what it is given", () => {
  const options = {
    severity: "ERROR",
    detail: "a detail",
    hint: "a hint",
    blame: "backend",
    reason: "a reason",
  } as const;
  const { severity, detail, hint, blame, reason } = new PgError("08006", "it went away", options);
  assert.deepEqual({ severity, detail, hint, blame, reason }, options);
});

Deno.test("PgError is an Error with a name, a stack and a cause", () => {
  const cause = new Error("refused");
  const error = new PgError("08001", "cannot connect", { cause });
  assert.ok(error instanceof Error);
  assert.equal(error.cause, cause);
  assert.match(String(error.stack), /^PgError|^Error/);
  assert.equal(String(error), "PgError: cannot connect");
});

Deno.test("protocolViolation() is FATAL 08P01", () => {
  const error = protocolViolation("malformed Query");
  assert.deepEqual([error.severity, error.sqlstate, error.message], ["FATAL", "08P01", "malformed Query"]);
});

Deno.test("asPgError() leaves a PgError as it is", () => {
  const error = protocolViolation("malformed Query");
  assert.equal(asPgError(error), error);
});

Deno.test.each<[string, unknown]>([
  ["an Error", new TypeError("x is not a function at /srv/proxy.ts")],
  ["a string", "x is not a function at /srv/proxy.ts"],
  ["undefined", undefined],
  ["null", null],
])("asPgError() makes %s a bland XX000 whose cause is for the log", (_case, thrown) => {
  const error = asPgError(thrown);
  assert.deepEqual(
    [error.sqlstate, error.severity, error.message, error.detail, error.hint, error.blame],
    ["XX000", "FATAL", "internal error in the proxy", undefined, undefined, "proxy"],
  );
  assert.equal(error.cause, thrown);
});

Deno.test("T17 an error that holds a Secret does not print it", () => {
  const cause = Object.assign(new Error("login failed"), { password: new Secret("hunter2") });
  const error = new PgError("08001", "cannot log in", { cause });
  assert.match(Deno.inspect(error), /\[secret\]/);
  assert.doesNotMatch(Deno.inspect(error), /hunter2/);
});
