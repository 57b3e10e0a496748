import assert from "node:assert/strict";
import { TokenVerifier } from "../../../lib/token/token_verifier.ts";
import { tempDirectory } from "../../support/temp_directory.ts";
import { settings } from "../fake_issuer.ts";
import { good, loop, NOW_MS, refusalOf, say } from "./scripted_validator.ts";

// What a validator says may depend on user, database and address: its word for one login is none for another.
Deno.test("verify() asks a validator anew of a token that was good for another user", async () => {
  await using directory = await tempDirectory();
  const script = loop(`case $question in
    *'"user":"alice"'*) ${say(good("alice"))} ;;
    *) ${say({ authorized: false, reason: "not this user" })} ;;
  esac`);
  const command = ["/bin/sh", await directory.write("script", script)];
  const issuer = settings({
    jwks_url: undefined,
    issuer: undefined,
    audience: undefined,
    validator: { command },
  });
  await using verifier = await TokenVerifier.create([issuer], {
    fetch: () => Promise.reject(new Error("nothing is fetched")),
    now: () => NOW_MS,
    baseDirectory: directory.path,
  });
  const verify = (user: string) => {
    const asked = { user, database: "orders", clientAddress: "192.0.2.1" };
    return verifier.verify("an-opaque-token", { asked });
  };
  assert.equal((await verify("alice")).subject, "alice");
  assert.match(await refusalOf(verify("bob")), /^not_authorized: /);
  assert.equal((await verify("alice")).subject, "alice");
});
