import assert from "node:assert/strict";
import { type Admission, admit, stayOf } from "../lib/admission.ts";
import { atOnce } from "../lib/long_work.ts";
import { Secret } from "../lib/secret.ts";
import type { SessionSettings } from "../lib/session_settings.ts";
import type { SessionRequest } from "../lib/startup/session_request.ts";
import { TokenRefused } from "../lib/token/refused_token.ts";
import type { VerifiedToken } from "../lib/token/verified_token.ts";
import { policyOf } from "./authorize/policies.ts";

const TOKEN: VerifiedToken = {
  issuer: "corp",
  claims: { sub: "alice" },
  subject: "alice",
  expiresAtMs: Date.UTC(2027, 0, 1),
  requireEmailVerified: true,
};

const REQUEST: SessionRequest = { user: "alice", database: "orders", replication: null, settings: new Map() };

/** Presents a token to a verifier that answers so, and to rules of which one has these keys. */
function admitBy(
  verify: () => Promise<VerifiedToken>,
  { rule = {}, asked = {} }: { rule?: Record<string, unknown>; asked?: Partial<SessionRequest> } = {},
) {
  const settings = { tokens: { verify }, policy: policyOf([rule]) } as unknown as SessionSettings;
  const options = {
    request: { ...REQUEST, ...asked },
    presented: {
      asked: { user: "alice", database: "orders", clientAddress: "192.0.2.1" },
      signal: new AbortController().signal,
    },
    settings,
    clientAddress: "192.0.2.1",
    nowMs: Date.UTC(2026, 0, 1),
    pace: atOnce,
  };
  return admit(new Secret("a.b.c"), options);
}

Deno.test("admit() does not take a failure that nobody foresaw for a bad token", async () => {
  const failure = new TypeError("keys is not iterable");
  await assert.rejects(admitBy(() => Promise.reject(failure)), failure);
});

Deno.test.each(
  [
    ["expired", "frontend"],
    ["keys_unavailable", "issuer"],
    ["issuer_unavailable", "issuer"],
    ["validator_unavailable", "issuer"],
  ] as const,
)("admit() of a token that is refused as %s blames the %s", async (fault, blame) => {
  const verdict = await admitBy(() => Promise.reject(new TokenRefused(fault, "So it is")));
  assert.deepEqual(verdict, { kind: "refused", reason: `${fault}: So it is`, fault, blame });
});

Deno.test.each<[asked: Partial<SessionRequest>, kind: string]>([
  [{}, "accepted"],
  [{ user: "bob" }, "refused"],
  [{ database: "stock" }, "refused"],
  [{ replication: "true" }, "refused"],
  [{ replication: "database" }, "refused"],
])("admit() holds all that is asked against the rules: with %o it is %s", async (asked, kind) => {
  const rule = { users: ["alice"], databases: ["orders"] };
  assert.equal((await admitBy(() => Promise.resolve(TOKEN), { rule, asked })).kind, kind);
});

Deno.test.each<[rule: Record<string, unknown>, whose: Record<string, unknown>]>([
  [{ match: "bob" }, { issuer: "corp", identity: "alice", tokenId: "t-1" }],
  [{ match: "bob", record_identity: false }, { issuer: "corp" }],
])("admit() that refuses a good token by a rule with %o tells whose it is: %o", async (rule, whose) => {
  const verdict = await admitBy(() => Promise.resolve({ ...TOKEN, tokenId: "t-1" }), { rule });
  assert.deepEqual((verdict as { whose?: unknown }).whose, whose);
});

Deno.test.each([
  ["192.0.2.0/24", "accepted"],
  ["198.51.100.0/24", "refused"],
])("admit() by a rule for the network %s has the client %s", async (network, kind) => {
  const rule = { networks: [network] };
  assert.equal((await admitBy(() => Promise.resolve(TOKEN), { rule })).kind, kind);
});

Deno.test.each<[rule: Record<string, unknown>, isKept: boolean]>([
  [{}, false],
  [{ max_session: "1h", at_expiry: "end_now" }, false],
  [{ reintrospect: "1m" }, true],
])("T17 stayOf() by a rule with %o keeps the token: %o", async (rule, isKept) => {
  const verdict = await admitBy(() => Promise.resolve(TOKEN), { rule });
  assert.equal(verdict.kind, "accepted");
  const { who } = verdict as { who: Admission };
  const access = { target: { hosts: [] } } as unknown as Parameters<typeof stayOf>[1]["access"];
  const { presented } = stayOf(who, { request: REQUEST, access, clientAddress: "192.0.2.1" });
  assert.equal(presented?.reveal(), isKept ? "a.b.c" : undefined);
});
