import * as v from "valibot";
import { Mistake, parsedBy } from "../mistake.ts";
import { parseIpAddress, parseNetwork } from "../network.ts";
import type { Challenge } from "./challenge.ts";
import type { MethodName } from "./methods.ts";

const TEXT_MESSAGE = "must be text in quotes";

const text = v.string(TEXT_MESSAGE);

/** At least one text each of which `parse` reads. */
function listOf<T>(what: string, parse: (text: string) => T) {
  const message = `must be an array of ${what}`;
  const element = v.pipe(text, parsedBy(parse));
  return v.pipe(
    v.array(element, message),
    v.minLength(1, `must hold at least one of the ${what}; leave it out for any`),
  );
}

/**
 * One table of `[[ways_in]]`: for which connections, and how they present their token. A condition that is left out
 * always holds.
 */
export const wayInSchema = v.pipe(
  v.strictObject({
    /** Each as `listen.address` has it. */
    listeners: v.optional(listOf("addresses in listen.address", (listener) => listener)),
    /** Names that the client may have given in TLS (SNI); `*.` in front stands for one label. */
    server_names: v.optional(listOf("host names", parseServerName)),
    /** Of the client. */
    networks: v.optional(listOf("networks", parseNetwork)),
    databases: v.optional(listOf("database names", parseName)),
    users: v.optional(listOf("user names", parseName)),
    method: v.pipe(
      v.picklist(["password", "oauthbearer"], 'must be "password" or "oauthbearer"'),
      v.description('say how clients present their token: "password" or "oauthbearer"'),
    ),
    /** Name of the only issuer whose tokens are taken. */
    issuer: v.optional(text),
    /** What clients are told to ask their issuer for. */
    scope: v.optional(v.pipe(text, parsedBy(parseScope))),
  }),
  v.forward(
    v.partialCheck(
      [["method"], ["issuer"]],
      ({ method, issuer }) => method !== "oauthbearer" || issuer !== undefined,
      'is required: with method = "oauthbearer" clients are sent to one issuer',
    ),
    ["issuer"],
  ),
  v.forward(
    v.partialCheck(
      [["method"], ["scope"]],
      ({ method, scope }) => method !== "oauthbearer" || scope !== undefined,
      'is required: with method = "oauthbearer" clients are told what to ask their issuer for, such as "openid"',
    ),
    ["scope"],
  ),
  v.forward(
    v.partialCheck(
      [["method"], ["scope"]],
      ({ method, scope }) => method !== "password" || scope === undefined,
      'is told to clients only with method = "oauthbearer": remove it',
    ),
    ["scope"],
  ),
);

/** A table of `[[ways_in]]` as read. */
export type WayInSettings = v.InferOutput<typeof wayInSchema>;

/** A way in, with what is known of its issuer. */
export interface WayIn {
  readonly method: MethodName;
  /** Name of the only issuer whose tokens are taken; undefined: any. */
  readonly issuer?: string;
  /** Of `oauthbearer`. */
  readonly challenge?: Challenge;
}

/** TLS has no server names but those of hosts, and case is nothing to them. */
function parseServerName(name: string): string {
  const isName = /^(\*\.)?[\w-]+(\.[\w-]+)*$/.test(name) && parseIpAddress(name) === undefined;
  if (isName) return name.toLowerCase();
  throw new Mistake('must be a host name in ASCII, such as "db.example.com" or "*.example.com"');
}

function parseName(name: string): string {
  if (name === "") throw new Mistake('must be a name, or "*" for any');
  return name;
}

/** @see https://www.rfc-editor.org/rfc/rfc6749#section-3.3 */
function parseScope(scope: string): string {
  if (/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(scope)) return scope;
  throw new Mistake('must be scopes with one space between them, such as "openid pg"');
}
