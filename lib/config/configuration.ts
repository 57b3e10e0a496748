import type { WayInRule } from "../authenticate/way_in.ts";
import type { Policy } from "../authorize/policy.ts";
import type { ServiceSettings } from "../commands/schema.ts";
import type { Backend } from "../connect/schema.ts";
import type { LimitsSettings } from "../limits/schema.ts";
import type { AdminSettings } from "../observe/admin_schema.ts";
import type { AuditSettings } from "../observe/audit_schema.ts";
import type { LogSettings } from "../observe/schema.ts";
import type { Secret } from "../secret.ts";
import type { StartupSettings } from "../startup/schema.ts";
import type { ListenSettings } from "../stream/listen_schema.ts";
import type { IssuerSettings } from "../token/schema.ts";

/** The configuration, checked and complete; nothing in it changes. A session keeps the one it began with. */
export interface Configuration {
  /** The file it was read from, absolute; undefined: the command line says all of it. */
  readonly path?: string;
  /** What relative paths in it are relative to, absolute. */
  readonly directory: string;
  /** Everything that was read for it, absolute: the file itself, keys, certificates, passwords. */
  readonly files: readonly string[];
  /** The variables of the environment that were read for it. */
  readonly variables: readonly string[];
  readonly listen: Listen;
  readonly startup: StartupSettings;
  /** Their `signing_keys` are still relative to {@link directory}. */
  readonly issuers: readonly IssuerSettings[];
  /** By name. */
  readonly backends: ReadonlyMap<string, LoadedBackend>;
  readonly policy: Policy;
  /** In order, each with the URL of its issuer. */
  readonly waysIn: readonly WayInRule[];
  readonly limits: LimitsSettings;
  readonly service: ServiceSettings;
  /** Its file is absolute. */
  readonly log: LogSettings;
  /** Its file is absolute. */
  readonly audit: AuditSettings;
  readonly admin: Admin;
}

/** The table `[listen]`, its files read. */
export type Listen = ListenSettings & {
  readonly tls?: TlsIdentity;
  /** PEM of `client_ca`. */
  readonly clientAuthorities?: string;
};

/** The table `[admin]`, its files read. */
export type Admin = AdminSettings & { readonly tls?: TlsIdentity };

/** Who we are inside TLS. */
export interface TlsIdentity {
  /** PEM, the leaf first. */
  readonly certificates: string;
  /** PEM. */
  readonly privateKey: Secret;
}

/** One `[[backends]]` table: its target has absolute paths and its password; what the paths name is read. */
export type LoadedBackend = Backend & {
  /** PEM of the certificates to trust; undefined: those the machine trusts. */
  readonly trustedCertificates?: string;
  /** The certificate to show to the backend. */
  readonly clientIdentity?: TlsIdentity;
};
