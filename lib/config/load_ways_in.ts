import { formatAddress } from "../address.ts";
import { encodeChallenge, MAX_CHALLENGE_BYTES } from "../authenticate/challenge.ts";
import type { WayIn, WayInSettings } from "../authenticate/schema.ts";
import type { WayInRule } from "../authenticate/way_in.ts";
import { parseIpAddress } from "../network.ts";
import type { ListenSettings } from "../stream/listen_schema.ts";
import type { IssuerSettings } from "../token/schema.ts";
import type { Problems } from "./problem.ts";

/** What the tables of `[[ways_in]]` are about; undefined where it has mistakes of its own. */
export interface WaysInAbout {
  readonly listen: ListenSettings | undefined;
  readonly issuers: readonly (IssuerSettings | undefined)[];
  readonly problems: Problems;
}

/** Joins each table of `[[ways_in]]` with its issuer and its listeners; what does not fit becomes problems. */
export function loadWaysIn(
  tables: readonly (WayInSettings | undefined)[],
  { listen, issuers, problems }: WaysInAbout,
): readonly WayInRule[] {
  return tables.flatMap((table, index) => {
    if (table === undefined) return [];
    const tell = (key: keyof WayInSettings | ["listeners", number], says: string) =>
      problems.add(["ways_in", index, ...[key].flat()], says);
    const issuer = issuers.find((issuer) => issuer?.name === table.issuer);
    const way = wayInOf(table, { listen, issuer, tell });
    return [{ settings: { ...table, listeners: listenersOf(table, { listen, tell }) }, way }];
  });
}

/** Notes a mistake of one table. */
type Tell = (key: keyof WayInSettings | ["listeners", number], says: string) => void;

function wayInOf(
  { method, issuer: name, scope = "" }: WayInSettings,
  { listen, issuer, tell }: Pick<WaysInAbout, "listen"> & { issuer: IssuerSettings | undefined; tell: Tell },
): WayIn {
  if (method === "password") return { method, issuer: name };
  if (listen !== undefined && listen.certificate === undefined) {
    tell("method", 'is "oauthbearer", which is offered only inside TLS: give listen.certificate');
  }
  const url = issuer?.url ?? issuer?.issuer ?? "";
  const challenge = { issuer: url, scope };
  if (issuer !== undefined && !isDiscoverable(url, issuer)) {
    tell(
      "issuer",
      `is ${JSON.stringify(name)}, whose iss is no https:// URL without query and fragment:` +
        " clients of OAUTHBEARER must find it there",
    );
  }
  const { length } = encodeChallenge(challenge);
  if (length > MAX_CHALLENGE_BYTES) {
    tell(
      "scope",
      `makes a challenge of ${length} bytes with the issuer's URL,` +
        ` of which libpq takes ${MAX_CHALLENGE_BYTES}: shorten it`,
    );
  }
  return { method, issuer: name, challenge };
}

/** Whether libpq would look for the issuer's discovery document there. */
function isDiscoverable(url: string, { insecure_http }: IssuerSettings): boolean {
  const isHttp = insecure_http && /^http:\/\//i.test(url); // psql takes it with PGOAUTHDEBUG=UNSAFE
  return (isHttp || /^https:\/\//i.test(url)) && URL.canParse(url) && !/[?#]/.test(url);
}

/** The table's listeners as connections tell them. */
function listenersOf(
  { listeners }: WayInSettings,
  { listen, tell }: Pick<WaysInAbout, "listen"> & { tell: Tell },
): string[] | undefined {
  if (listen === undefined) return listeners;
  const known = [listen.address].flat().map(({ host, port }) => formatAddress(host, port));
  return listeners?.flatMap((written, index) => {
    const listener = known.find((address) =>
      address === written || endpointOf(address) === endpointOf(written)
    );
    if (listener !== undefined) return [listener];
    tell(
      ["listeners", index],
      `is ${JSON.stringify(written)}, which is not in listen.address: there is ${known.join(", ")}`,
    );
    return [];
  });
}

/** The same text for all ways to write one address and port; the text itself, if it is none. */
function endpointOf(written: string): string {
  const [, ipv6, ipv4, port] = /^(?:\[(.+)\]|([^[\]]+)):(\d{1,5})$/.exec(written) ?? [];
  const address = parseIpAddress(ipv6 ?? ipv4 ?? "");
  return address === undefined ? written : `${address.family} ${address.value} ${Number(port)}`;
}
