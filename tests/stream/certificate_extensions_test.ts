import assert from "node:assert/strict";
import fc from "fast-check";
import { readExtensions } from "../../lib/stream/certificate_extensions.ts";
import { oddCertificate, oddExtension, type OddRequest } from "../support/odd_certificates.ts";

const NOTHING = { pathLength: undefined, extendedKeyUsage: undefined, hasUnknownCritical: false };

Deno.test.each<[string, Partial<OddRequest>, Partial<ReturnType<typeof readExtensions>>]>([
  ["nothing", {}, {}],
  ["nothing where there are none", { isBare: true }, {}],
  ["a path length of 0", { isAuthority: true, pathLength: 0 }, { pathLength: 0 }],
  ["a path length of 300", { isAuthority: true, pathLength: 300 }, { pathLength: 300 }],
  ["an authority without path length", { isAuthority: true }, {}],
  ["an extended key usage", { extendedKeyUsage: ["1.3.6.1.5.5.7.3.2"] }, {
    extendedKeyUsage: ["1.3.6.1.5.5.7.3.2"],
  }],
  ["several extended key usages", { extendedKeyUsage: ["2.5.29.37.0", "1.3.6.1.4.1.311.20.2.2"] }, {
    extendedKeyUsage: ["2.5.29.37.0", "1.3.6.1.4.1.311.20.2.2"],
  }],
  ["critical name constraints", { extensions: [oddExtension()] }, { hasUnknownCritical: true }],
  ["name constraints that are not critical", { extensions: [oddExtension({ isCritical: false })] }, {}],
  ["critical names", { extensions: [oddExtension({ identifier: "2.5.29.17" })] }, {}],
])("readExtensions() reads %s", async (_name, request, extensions) => {
  const { der } = await oddCertificate({ name: "x", ...request });
  assert.deepEqual(readExtensions(der), { ...NOTHING, ...extensions });
});

Deno.test("readExtensions() of any bytes ends, with whatever they say", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.equal(typeof readExtensions(bytes).hasUnknownCritical, "boolean");
  }));
});
