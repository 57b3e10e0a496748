import { resolve } from "node:path";
import { type Flags, placeOfFlag } from "./flags.ts";
import type { OverlaidDocument } from "./overlaid_document.ts";

/** Notes a mistake of the command line. */
export type Tell = (flag: keyof Flags, says: string) => void;

const ISSUER_FLAGS = ["oidcDiscovery", "signingKeys", "audience", "issuer"] as const;

/**
 * What the flags say of the issuer: they make one where the file has none, or change the only one that it has.
 *
 * @returns the names of all issuers, for the rules of a backends file; undefined where it cannot be told whom they are for
 */
export function overlayIssuers(
  document: OverlaidDocument,
  { flags, tell }: { readonly flags: Flags; readonly tell: Tell },
): readonly string[] | undefined {
  const written = document.tables("issuers");
  const [first] = ISSUER_FLAGS.filter((flag) => flags[flag] !== undefined);
  if (written.length > 1) {
    const says = `is for a file with one [[issuers]] table, and there are ${written.length}`;
    if (first !== undefined) tell(first, `${says}: change that table in the file`);
    if (flags.backends === undefined) return undefined;
    tell("backends", `${says}: write [[backends]] and [[rules]], which say whose tokens they are for`);
    return undefined;
  }
  if (written.length === 0) return first === undefined ? undefined : addIssuers(document, { flags, tell });
  changeIssuer(document, { flags, tell });
  const { name } = written[0];
  return typeof name === "string" ? [name] : undefined;
}

/** As with the ancestor both kinds of keys are good at once; here each says whose tokens it is for. */
function addIssuers(
  document: OverlaidDocument,
  { flags, tell }: { readonly flags: Flags; readonly tell: Tell },
): readonly string[] | undefined {
  const { oidcDiscovery, signingKeys, audience, issuer } = flags;
  const sources = (["oidcDiscovery", "signingKeys"] as const).filter((flag) => flags[flag] !== undefined);
  if (sources.length === 0) {
    tell(
      audience === undefined ? "issuer" : "audience",
      "needs --oidcDiscovery or --signingKeys: there is no issuer",
    );
    return undefined;
  }
  document.set(["issuers"], sources.map((name) => ({ name })), placeOfFlag(sources[0]));
  for (const [index, source] of sources.entries()) {
    document.place(["issuers", index], placeOfFlag(source));
    const set = (key: string, flag: keyof Flags, value: unknown) =>
      value === undefined || document.set(["issuers", index, key], value, placeOfFlag(flag));
    set("audience", "audience", audience);
    if (source === "oidcDiscovery") {
      // With both, the tokens of discovery are those of its own URL.
      const iss = signingKeys === undefined ? issuer : undefined;
      set("url", "oidcDiscovery", iss ?? issuerOf(oidcDiscovery!));
    } else {
      set("signing_keys", "signingKeys", signingKeys?.map((path) => resolve(path)));
      set("issuer", "issuer", issuer);
    }
  }
  return sources;
}

function changeIssuer(
  document: OverlaidDocument,
  { flags, tell }: { readonly flags: Flags; readonly tell: Tell },
): void {
  const { oidcDiscovery, signingKeys, audience, issuer } = flags;
  if (oidcDiscovery !== undefined && signingKeys !== undefined) {
    tell(
      "signingKeys",
      "and --oidcDiscovery cannot both be the keys of the file's one issuer: give one of them",
    );
    return;
  }
  const set = (key: string, flag: keyof Flags, value: unknown) =>
    document.set(["issuers", 0, key], value, placeOfFlag(flag));
  const table = document.tables("issuers")[0];
  if (oidcDiscovery !== undefined) {
    document.remove(["issuers", 0], ["issuer", "jwks_url", "signing_keys"]);
    set("url", "oidcDiscovery", issuer ?? issuerOf(oidcDiscovery));
  } else if (signingKeys !== undefined) {
    const iss = issuer ?? table.url ?? table.issuer;
    document.remove(["issuers", 0], ["url", "jwks_url", "jwks_hosts"]);
    set("signing_keys", "signingKeys", signingKeys.map((path) => resolve(path)));
    if (iss !== undefined) set("issuer", "issuer", iss);
  } else if (issuer !== undefined) set(table.url === undefined ? "issuer" : "url", "issuer", issuer);
  if (audience !== undefined) set("audience", "audience", audience);
}

/** The issuer's URL, which its discovery document stands below. */
function issuerOf(discovery: string): string {
  return discovery.replace(/\/\.well-known\/openid-configuration$/, "");
}
