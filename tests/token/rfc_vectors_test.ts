import assert from "node:assert/strict";
import { compactVerify } from "jose";
import type { Algorithm } from "../../lib/token/algorithms.ts";
import { importVerificationKey } from "../../lib/token/verification_keys.ts";
import { FakeIssuer, faultOf, settings } from "./fake_issuer.ts";

/** {"iss":"joe", "exp":1300819380, "http://example.com/is_root":true} of RFC 7519 section 3.1. */
const PAYLOAD =
  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const RFC_7515_A_2 = {
  jwk: {
    kty: "RSA",
    n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR" +
      "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB" +
      "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia" +
      "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    e: "AQAB",
  },
  token: `eyJhbGciOiJSUzI1NiJ9.${PAYLOAD}.` +
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb" +
    "F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383" +
    "LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy" +
    "wlVmtVrBp0igcN_IoypGlUPQGe77Rw",
};

const RFC_7515_A_3 = {
  jwk: {
    kty: "EC",
    crv: "P-256",
    x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  },
  token: `eyJhbGciOiJFUzI1NiJ9.${PAYLOAD}.` +
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
};

const RFC_7515_A_4 = {
  jwk: {
    kty: "EC",
    crv: "P-521",
    x: "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    y: "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
  },
  token: "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA." +
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgo" +
    "XD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
};

const RFC_8037_A_4 = {
  jwk: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
  token: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
};

const JOE = settings({ issuer: "joe", algorithms: ["ES256", "RS256", "ES512", "EdDSA"] });

/** An hour before the tokens of RFC 7515 expire. */
const BEFORE_EXP_MS = (1300819380 - 3600) * 1000;

// These tokens have no aud: that they are refused for it alone shows that signature, iss and exp have passed.
Deno.test.each([["RFC 7515 A.2", RFC_7515_A_2], ["RFC 7515 A.3", RFC_7515_A_3]] as const)(
  "verify() %s passes up to its missing aud",
  async (_name, { jwk, token }) => {
    const issuer = new FakeIssuer();
    issuer.serve(jwk);
    issuer.nowMs = BEFORE_EXP_MS;
    await using verifier = await issuer.verifier([JOE]);
    assert.equal(await faultOf(verifier, token), "audience");
  },
);

Deno.test("verify() RFC 7515 A.2 has expired by now", async () => {
  const issuer = new FakeIssuer();
  issuer.serve(RFC_7515_A_2.jwk);
  await using verifier = await issuer.verifier([JOE]);
  assert.equal(await faultOf(verifier, RFC_7515_A_2.token), "expired");
});

Deno.test.each(
  [
    ["RFC 7515 A.4", "ES512", RFC_7515_A_4, "Payload"],
    ["RFC 8037 A.4", "EdDSA", RFC_8037_A_4, "Example of Ed25519 signing"],
  ] as const,
)(
  "importVerificationKey() %s: the key verifies the signature",
  async (_name, algorithm, { jwk, token }, text) => {
    const key = await importVerificationKey(jwk, [algorithm as Algorithm]);
    assert.ok(typeof key !== "string", key as string);
    const { payload } = await compactVerify(token, key.byAlgorithm.get(algorithm)!);
    assert.equal(new TextDecoder().decode(payload), text);
  },
);

Deno.test.each(
  [
    [
      "section 3.1, HS256",
      "algorithm",
      `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`,
    ],
    ["section 6.1, unsecured", "malformed", `eyJhbGciOiJub25lIn0.${PAYLOAD}.`],
    [
      "A.1, encrypted",
      "encrypted",
      "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.QR1Owv2ug2WyPBnbQrRARTeEk9kDO2w8qDcjiHnSJflSdv1iNqhW" +
      "XaKH4MqAkQtMoNfABIPJaZm0HaA415sv3aeuBWnD8J-Ui7Ah6cWafs3ZwwFKDFUUsWHSK-IPKxLGTkND09XyjORj_CHAgOPJ-Sd8ONQR" +
      "nJvWn_hXV1BNMHzUjPyYwEsRhDhzjAD26imasOTsgruobpYGoQcXUwFDn7moXPRfDE8-NoQX7N7ZYMmpUDkR-Cx9obNGwJQ3nM52YCit" +
      "xoQVPzjbl7WBuB7AohdBoZOdZ24WlN1lVIeh8v1K4krB8xgKvRU8kgFrEn_a1rZgN5TiysnmzTROF869lQ." +
      "AxY8DCtDaGlsbGljb3RoZQ." +
      "MKOle7UQrG6nSxTLX6Mqwt0orbHvAKeWnDYvpIAeZ72deHxz3roJDXQyhxx0wKaMHDjUEOKIwrtkHthpqEanSBNYHZgmNOV7sln1Eu9g" +
      "3J8.fiK51VwhsxJ-siBMR-YFiA",
    ],
  ] as const,
)("verify() RFC 7519 %s is refused as %s", async (_name, fault, token) => {
  const issuer = new FakeIssuer();
  issuer.serve(RFC_7515_A_2.jwk);
  issuer.nowMs = BEFORE_EXP_MS;
  await using verifier = await issuer.verifier([JOE]);
  assert.equal(await faultOf(verifier, token), fault);
});
