import assert from "node:assert/strict";
import { TokenVerifier } from "../../../lib/token/token_verifier.ts";
import { tempDirectory } from "../../support/temp_directory.ts";
import { settings } from "../fake_issuer.ts";
import { good, loop, NOW_MS, refusalOf, say } from "./scripted_validator.ts";

/** A verifier whose only issuer has this script for a validator. */
async function scene(script: string) {
  await using resources = new AsyncDisposableStack();
  const directory = resources.use(await tempDirectory());
  const command = ["/bin/sh", await directory.write("script", script)];
  const issuer = settings({
    jwks_url: undefined,
    issuer: undefined,
    audience: undefined,
    validator: { command },
  });
  const verifier = resources.use(
    await TokenVerifier.create([issuer], {
      fetch: () => Promise.reject(new Error("nothing is fetched")),
      now: () => NOW_MS,
      baseDirectory: directory.path,
    }),
  );
  const verify = (token: string, user: string) => {
    const asked = { user, database: "orders", clientAddress: "192.0.2.1" };
    return verifier.verify(token, { asked });
  };
  const held = resources.move();
  return { verify, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

// What a validator says may depend on user, database and address: its word for one login is none for another.
Deno.test("verify() asks a validator anew of a token that was good for another user", async () => {
  const script = loop(`case $question in
    *'"user":"alice"'*) ${say(good("alice"))} ;;
    *) ${say({ authorized: false, reason: "not this user" })} ;;
  esac`);
  await using validated = await scene(script);
  const verify = (user: string) => validated.verify("an-opaque-token", user);
  assert.equal((await verify("alice")).subject, "alice");
  assert.match(await refusalOf(verify("bob")), /^not_authorized: /);
  assert.equal((await verify("alice")).subject, "alice");
});

// To a directory an empty password says that one does not want to be anybody (RFC 4513, 5.1.2), and it agrees.
Deno.test("verify() asks no validator about an empty password", async () => {
  await using validated = await scene(loop(say(good("alice"))));
  assert.equal((await validated.verify("a", "alice")).subject, "alice");
  assert.equal(await refusalOf(validated.verify("", "alice")), "not_a_token: The password is empty");
});
