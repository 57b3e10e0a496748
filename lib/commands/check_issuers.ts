import type { IssuerSettings } from "../token/schema.ts";
import type { IssuerProblem, TokenEvent } from "../token/token_event.ts";
import type { TokenVerifier } from "../token/token_verifier.ts";
import { type Finding, plural } from "./finding.ts";

/** What was seen of the issuers while they were asked. */
export interface IssuersSeen {
  readonly verifier: TokenVerifier | undefined;
  readonly problems: readonly IssuerProblem[];
  readonly events: readonly TokenEvent[];
}

/** Each issuer that can be used, with what was had of it; those that cannot be are told with the file's mistakes. */
export function checkIssuers(
  issuers: readonly IssuerSettings[],
  { verifier, problems, events }: IssuersSeen,
): readonly Finding[] {
  const keys = new Map(verifier?.keySets().map((set) => [set.issuer, set.keys]));
  return issuers.flatMap((issuer) => {
    const what = `issuer ${issuer.name}`;
    const isFaulty = problems.some((problem) => problem.issuer === issuer.name);
    const found = isFaulty
      ? []
      : [{ what, state: "ok", detail: saysHad(issuer, keys.get(issuer.name)) } as const];
    return [...found, ...warningsOf(issuer, events)];
  });
}

function saysHad(
  { url, jwks_url, introspection, validator, deny_list }: IssuerSettings,
  keys: number | undefined,
): string {
  return [
    ...(keys === undefined ? [] : [`${plural(keys, "key")} ${saysFrom(url ?? jwks_url)}`]),
    ...(introspection === undefined ? [] : ["introspection answers"]),
    ...(validator === undefined ? [] : ["its validator answers"]),
    ...(deny_list === undefined ? [] : ["its deny list is readable"]),
  ].join(", ");
}

function saysFrom(url: string | undefined): string {
  return url === undefined ? "read from files" : `fetched from ${new URL(url).host}`;
}

function warningsOf({ name, insecure_http }: IssuerSettings, events: readonly TokenEvent[]): Finding[] {
  const warning = (detail: string): Finding => ({ what: `issuer ${name}`, state: "warning", detail });
  const skipped = events.flatMap((event) =>
    event.kind === "key_skipped" && event.issuer === name
      ? [warning(`key ${event.index + 1} of its key set is not used: it ${event.reason}`)]
      : []
  );
  if (!insecure_http) return skipped;
  return [...skipped, warning("insecure_http: whoever is between here and there can sign tokens")];
}
