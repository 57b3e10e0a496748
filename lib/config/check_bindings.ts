import type { ListenSettings } from "../stream/listen_schema.ts";
import type { IssuerSettings } from "../token/schema.ts";
import type { Problems } from "./problem.ts";

/** Notes issuers whose tokens must be bound to a certificate that no client is asked for. */
export function checkBindings(
  issuers: readonly (IssuerSettings | undefined)[],
  { listen, problems }: { readonly listen: ListenSettings | undefined; readonly problems: Problems },
): void {
  if (listen === undefined || listen.client_certificate !== "none") return;
  for (const [index, issuer] of issuers.entries()) {
    if (!issuer?.require_binding) continue;
    const says = 'is true, which needs client_certificate = "request" in [listen]: no token would be good';
    problems.add(["issuers", index, "require_binding"], says);
  }
}
