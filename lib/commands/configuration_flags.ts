import * as v from "valibot";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseClaimPath } from "../claims/claim_path.ts";
import type { Flags } from "../config/flags.ts";
import type { ConfigurationSource } from "../config/load.ts";
import { formatDuration, parseDuration } from "../duration.ts";
import { Mistake } from "../mistake.ts";
import { parseIpAddress } from "../network.ts";
import { serviceSchema, type ServiceSettings } from "./schema.ts";

/** The address to listen on where neither a file nor a flag says one: the one of the program's Go ancestor. */
const DEFAULT_ADDRESS = "127.0.0.1:13013";

const DURATION = "must be a duration, such as 30s, 5m or 24h";
const ADDRESS = "must be an IP address and a port, such as 127.0.0.1:6432, [::]:6432 or :6432";

/** Adds the flags that every command takes: where the configuration is, and what goes before what it says. */
export function addConfigurationFlags(command: Command): Command {
  const add = <T>(flags: string, description: string, parse?: (text: string, before: T) => T) => {
    const option = new Option(flags, description);
    command.addOption(parse === undefined ? option : option.argParser(parse));
  };
  add("-c, --config <file>", "the configuration, a TOML file; config.example.toml shows every key");
  command.optionsGroup("Options over the configuration, or in its place:");
  add("--bindAddr <address>", `listen.address; without --config ${DEFAULT_ADDRESS}`, address);
  add("--bindCert <file>", "listen.certificate: PEM, the leaf first, then its chain");
  add("--bindKey <file>", "listen.private_key: PEM");
  add("--insecure [boolean]", "listen.insecure_plaintext: clients may log in outside TLS", flag);
  add(
    "--oidcDiscovery <url>",
    "the issuer, by its discovery document: https://…/.well-known/openid-configuration",
    url,
  );
  add(
    "--signingKeys <files>",
    "the issuer's public keys or certificates: PEM, several by commas or repeated",
    list,
  );
  add("--issuer <iss>", "the tokens' iss; needed with --signingKeys");
  add("--audience <names>", "one of these must be in the tokens' aud; several by commas or repeated", list);
  add("--backends <file>", "backends and rules: JSON, from identities or /expressions/ to URLs");
  add("--jwtField <claim>", 'the claim that says who the client is; default "sub"', claim);
  add("--reportRemoteAddr [boolean]", "CockroachDB learns the client's address as crdb:remote_addr", flag);
  add(
    "--gracePeriod <duration>",
    "service.grace_period: how long sessions may take to become idle",
    ofService("grace_period"),
  );
  add(
    "--refresh <duration>",
    "service.refresh: how often all of this is loaded anew; 0: never",
    ofService("refresh"),
  );
  add("--metricsAddr <address>", "admin.address: /vars, /health and the like", address);
  return command;
}

/** Adds the flags of the log, which may stand in front of the command too. */
export function addLogFlags(program: Command): Command {
  return program.optionsGroup("Log:")
    .option("--logDestination <file>", "log.file: writes the log there, not to standard error")
    .addOption(new Option("--logFormat <format>", "log.format").choices(["text", "json", "fluent"]))
    .option("-v, --verbose", "log.level debug; twice: trace", (_: string, times: number = 0) => times + 1);
}

/** Where the command line says that the configuration comes from; ends with one sentence where that is not enough. */
export function sourceOf(command: Command): ConfigurationSource {
  const { config, ...flags } = command.optsWithGlobals<Flags & { readonly config?: string }>();
  if (config !== undefined) return { path: config, flags };
  const missing = missingOf(flags);
  if (missing !== undefined) command.error(`error: ${missing}`);
  return { flags: { bindAddr: DEFAULT_ADDRESS, ...flags } };
}

/** What flags alone do not say, and must. */
function missingOf(flags: Flags): string | undefined {
  const { backends, oidcDiscovery, signingKeys, audience, issuer, bindCert, bindKey, insecure } = flags;
  const isAlone = [backends, oidcDiscovery, signingKeys].every((flag) => flag === undefined);
  if (isAlone) return "give --config, or --backends with --oidcDiscovery or --signingKeys";
  if (backends === undefined) {
    return "--backends is missing: without --config it says who is let in, and where";
  }
  if ((oidcDiscovery ?? signingKeys) === undefined) {
    return "--oidcDiscovery or --signingKeys is missing: without --config they say whose tokens are good";
  }
  if (audience === undefined) {
    return "--audience is missing: name what the tokens must have in aud, or tokens for others would be good here";
  }
  if (signingKeys !== undefined && issuer === undefined) {
    return "--issuer is missing: with --signingKeys name what the tokens must have as iss";
  }
  if ((bindCert === undefined) !== (bindKey === undefined)) return "--bindCert and --bindKey go together";
  if (bindCert !== undefined || insecure) return undefined;
  return "--bindCert and --bindKey are missing: tokens travel only inside TLS, unless --insecure is given";
}

/** A duration that is fit for a key of `[service]`, in milliseconds. */
function ofService(key: keyof ServiceSettings): (text: string) => number {
  return (text) => {
    const ms = duration(text);
    const written = ms === 0 ? "0" : formatDuration(ms);
    const { issues } = v.safeParse(serviceSchema, { [key]: written });
    return issues === undefined ? ms : invalid(issues[0].message);
  };
}

function duration(text: string): number {
  // Go writes 90 minutes as 1h30m0s.
  const parts = text.match(/\d+(?:ms|[smhd])/g) ?? [];
  const isWhole = parts.length > 0 && parts.join("") === text;
  return (isWhole ? parts : [text])
    .map((part) => parseDuration(part) ?? invalid(DURATION))
    .reduce((sum, milliseconds) => sum + milliseconds, 0);
}

function address(text: string): string {
  const [, ipv6, host = "", port] = /^(?:\[(.+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? invalid(ADDRESS);
  const isHost = ipv6 === undefined && (host === "" || host === "localhost");
  if (Number(port) > 65535 || !isHost && parseIpAddress(ipv6 ?? host) === undefined) invalid(ADDRESS);
  return text;
}

function flag(text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  return invalid("must be true or false");
}

function list(text: string, before: readonly string[] = []): readonly string[] {
  const names = text.split(",");
  if (names.includes("")) invalid("must be names with a comma between them");
  return [...before, ...names];
}

function url(text: string): string {
  if (URL.canParse(text) && text.startsWith("https://")) return text;
  return invalid("must be a URL that begins with https://");
}

function claim(text: string): string {
  try {
    return parseClaimPath(text), text;
  } catch (error) {
    if (error instanceof Mistake) return invalid(error.message);
    throw error;
  }
}

function invalid(says: string): never {
  throw new InvalidArgumentError(says);
}
