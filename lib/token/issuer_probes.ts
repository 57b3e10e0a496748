import { introspectionKey } from "./issuer_parts.ts";
import type { KeySetAge, KeySource } from "./key_source.ts";
import type { KnownIssuer } from "./known_issuer.ts";
import { TokenRefused } from "./refused_token.ts";
import type { IssuerProblem, TokenEvent } from "./token_event.ts";

/** Asks issuers for what was not taken over from before: what cannot be had, and why. */
export function probeIssuers(issuers: readonly KnownIssuer[]): Promise<readonly IssuerProblem[]> {
  return problemsAmong(issuers.flatMap((issuer) => [
    issuer.kept.keys ? undefined : probeKeys(issuer),
    issuer.kept.introspector ? undefined : probeIntrospection(issuer),
  ]));
}

/** Asks issuers for what was taken over from before, and reports what cannot be had now. Never rejects. */
export async function recheckIssuers(
  issuers: readonly KnownIssuer[],
  report: (event: TokenEvent) => void,
): Promise<void> {
  await Promise.all(issuers.flatMap((issuer) => [
    issuer.kept.keys ? issuer.keys?.refresh() : undefined,
    issuer.kept.introspector ? recheckIntrospection(issuer, report) : undefined,
  ]));
}

/** Asks every validator about a token that nobody has issued, at a time in milliseconds since 1970. */
export function probeValidators(
  issuers: readonly KnownIssuer[],
  nowMs: number,
): Promise<readonly IssuerProblem[]> {
  return problemsAmong(issuers.map((issuer) => probeValidator(issuer, nowMs)));
}

/** Which issuers have no keys that are good now, without asking them. */
export function problemsOf(issuers: readonly KnownIssuer[]): readonly IssuerProblem[] {
  return issuers.flatMap(({ settings, keys }) =>
    keys === undefined || keys.current() !== undefined ? [] : [problemOfKeys(settings.name, keys)]
  );
}

/** The keys of each issuer that has any of its own, counted at a time in milliseconds since 1970. */
export function keySetsOf(issuers: readonly KnownIssuer[], nowMs: number): readonly KeySetAge[] {
  return issuers.flatMap(({ settings: { name: issuer }, keys }) => {
    if (keys === undefined) return [];
    const loadedAtMs = keys.loadedAtMs();
    const ageMs = loadedAtMs === undefined ? undefined : nowMs - loadedAtMs;
    return [{ issuer, keys: keys.current()?.size ?? 0, ageMs }];
  });
}

async function problemsAmong(
  probes: readonly (Promise<IssuerProblem | undefined> | undefined)[],
): Promise<readonly IssuerProblem[]> {
  return (await Promise.all(probes)).filter((problem) => problem !== undefined);
}

async function recheckIntrospection(
  issuer: KnownIssuer,
  report: (event: TokenEvent) => void,
): Promise<void> {
  const problem = await probeIntrospection(issuer);
  if (problem === undefined) return;
  report({ kind: "introspection_unusable", issuer: problem.issuer, problem: problem.message });
}

async function probeKeys({ settings, keys }: KnownIssuer): Promise<IssuerProblem | undefined> {
  if (keys === undefined || await keys.usable() !== undefined) return undefined;
  return problemOfKeys(settings.name, keys);
}

function problemOfKeys(issuer: string, keys: KeySource): IssuerProblem {
  return { issuer, message: keys.problem() ?? "Its keys have not been fetched" };
}

async function probeIntrospection(
  { settings, introspector }: KnownIssuer,
): Promise<IssuerProblem | undefined> {
  const problem = await introspector?.probe();
  if (problem === undefined) return undefined;
  return { issuer: settings.name, key: introspectionKey(problem.key), message: problem.message };
}

async function probeValidator(
  { settings, validator }: KnownIssuer,
  nowMs: number,
): Promise<IssuerProblem | undefined> {
  if (validator === undefined) return undefined;
  const problem = { issuer: settings.name, key: ["validator", "command"] };
  try {
    await validator.validate({ token: `not-a-token-${crypto.randomUUID()}`, nowMs });
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
    return error.fault === "validator_unavailable" ? { ...problem, message: error.message } : undefined;
  }
  return { ...problem, message: "It calls a token good that nobody has issued; every login would be let in" };
}
