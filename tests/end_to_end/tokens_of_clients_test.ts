import assert from "node:assert/strict";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { createAuthority } from "../support/certificates.ts";
import { approveDevice } from "../support/device_flow.ts";
import { OidcIssuer } from "../support/oidc_issuer.ts";
import { CLIENTS } from "../support/oidc_provider.ts";
import { waitUntil } from "../support/wait_until.ts";
import { reasonOfRefusal, WAYS_IN } from "./presenter.ts";
import { startTokenScene, type TokenScene } from "./token_scene.ts";

const DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code";

/** A client that is called as the proxy's audience is, so that its ID tokens, too, are for that audience. */
const NAMESAKE = { id: "pg-auth-proxy" };

const resources = new AsyncDisposableStack();
let issuer: OidcIssuer;
/** Takes any client's tokens, of any usual type. */
let lenient: TokenScene;
/** Takes access tokens alone, and only of people's clients. */
let strict: TokenScene;

Deno.test.beforeAll(async () => {
  const metadata = {
    token_endpoint_auth_method: "none",
    application_type: "native",
    grant_types: [DEVICE_CODE],
  };
  issuer = resources.use(
    await OidcIssuer.start({
      authority: await createAuthority("tokens of clients"),
      accounts: { "alice@example.com": {} },
      clients: [{ client_id: NAMESAKE.id, ...metadata }],
    }),
  );
  lenient = resources.use(await startTokenScene({ issuedBy: issuer }));
  strict = resources.use(
    await startTokenScene({
      issuedBy: issuer,
      issuer: `types = ["at+jwt"]\nclients = ["psql", "${NAMESAKE.id}"]`,
    }),
  );
});

// What a session still has to do when its client has left belongs to the test that opened it.
Deno.test.afterEach(async () => {
  const count = () => lenient.proxy.connectionCount + strict.proxy.connectionCount;
  await waitUntil(() => count() === 0, { what: "every session to end" });
});

Deno.test.afterAll(() => resources.disposeAsync());

Deno.test.each(WAYS_IN)("T10 by %s, an ID token is refused where access tokens are required", async (by) => {
  const tokens = await tokensOfAlice(NAMESAKE);
  // But for its type nothing is wrong with it: where any type will do it is let in.
  const { sub, aud } = decodeJwt(tokens.id_token);
  assert.deepEqual({ sub, aud }, { sub: "alice@example.com", aud: "pg-auth-proxy" });
  assert.equal(await lenient.logIn(by, tokens.id_token), "in");
  assert.match(await reasonOfRefusal(by, strict.proxy, tokens.id_token), /^type: /);
  assert.equal(await strict.logIn(by, tokens.access_token), "in");
});

Deno.test.each(WAYS_IN)("T10 by %s, an ID token that is for another client is refused", async (by) => {
  const { id_token } = await tokensOfAlice(CLIENTS.psql);
  assert.match(await reasonOfRefusal(by, lenient.proxy, id_token), /^audience: /);
});

Deno.test.each(WAYS_IN)(
  "T10 by %s, an access token of another client of the same issuer is refused where clients are named",
  async (by) => {
    const token = await issuer.mint({ sub: "alice@example.com" });
    assert.equal(decodeJwt(token).client_id, CLIENTS.service.id);
    assert.equal(await lenient.logIn(by, token), "in");
    assert.match(await reasonOfRefusal(by, strict.proxy, token), /^client: /);
    const { access_token } = await tokensOfAlice(CLIENTS.psql);
    assert.equal(await strict.logIn(by, access_token), "in");
  },
);

/** What the issuer gives a client for which alice has approved a device. */
async function tokensOfAlice(client: { readonly id: string }) {
  const device = await (await issuer.post("/device/auth", { scope: "openid" }, client)).json();
  const { verification_uri: verificationUrl, user_code: userCode, device_code } = device;
  await approveDevice(issuer.fetch, { verificationUrl, userCode, account: "alice@example.com" });
  const response = await issuer.post("/token", { grant_type: DEVICE_CODE, device_code }, client);
  const tokens: { access_token: string; id_token: string } = await response.json();
  assert.equal(decodeProtectedHeader(tokens.access_token).typ, "at+jwt");
  return tokens;
}
