// Run with: deno bench -A tests/token/verify_bench.ts
import { claims, issuerWith, settings, sign, signingKey } from "./fake_issuer.ts";

for (const alg of ["ES256", "RS256", "EdDSA"]) {
  const key = await signingKey(alg, "k1");
  const tokens = await Promise.all(
    Array.from({ length: 20_000 }, (_, jti) => sign(key, claims({ jti: String(jti) }))),
  );
  const verifier = await issuerWith(key).verifier([settings({ algorithms: [alg] })]);
  await verifier.verify(tokens[0]);
  let next = 0;

  // 20 000 tokens go round a memory of 10 000: none is remembered when its turn comes again.
  Deno.bench(`${alg} verify() a token for the first time`, async () => {
    await verifier.verify(tokens[next++ % tokens.length]);
  });

  Deno.bench(`${alg} verify() a remembered token`, async () => {
    await verifier.verify(tokens[0]);
  });
}
