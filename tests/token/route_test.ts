import assert from "node:assert/strict";
import * as v from "valibot";
import type { KnownIssuer } from "../../lib/token/known_issuer.ts";
import { routeOf } from "../../lib/token/route.ts";
import { issuerSchema } from "../../lib/token/schema.ts";
import { forgeToken } from "../support/forged_token.ts";

const LEGACY = "https://legacy.example.com";

Deno.test("routeOf() a token that names an issuer leads to no other issuer than the way in names", async () => {
  const issuers = [
    issuer({ name: "corp", signing_keys: ["keys/*.pem"], issuer: "corp", audience: ["proxy"] }),
    { ...issuer({ name: "legacy", issuer: LEGACY, validator: { command: ["check"] } }), validator },
  ];
  const token = `${await forgeToken({ alg: "ES256" }, { iss: LEGACY })}AAAA`;
  const route = (name?: string) =>
    routeOf(token, { issuers, name, maxTokenBytes: 16384 }).issuer.settings.name;
  assert.equal(route(), "legacy");
  assert.equal(route("legacy"), "legacy");
  assert.throws(() => route("corp"), {
    fault: "other_issuer",
    message: 'Only tokens of issuer "corp" are taken here',
  });
});

const validator = {
  validate: () => Promise.reject(new Error("nobody is asked")),
  close: () => Promise.resolve(),
};

function issuer(table: Readonly<Record<string, unknown>>): KnownIssuer {
  const settings = v.parse(issuerSchema, table);
  const kept = { keys: false, introspector: false };
  return { settings, iss: settings.issuer, shared: {}, kept, close: () => Promise.resolve() };
}
