/** Roles that hosting services and CockroachDB give to themselves; the default of `reserved_roles`. */
export const DEFAULT_RESERVED_ROLES: readonly string[] = [
  "admin", // CockroachDB
  "alloydbadmin",
  "alloydbsuperuser",
  "azure_pg_admin",
  "azure_superuser",
  "azuresu",
  "cloudsqladmin",
  "cloudsqlsuperuser",
  "neon_superuser",
  "node", // CockroachDB
  "rds_superuser",
  "rdsadmin",
  "replication",
  "supabase_admin",
];

/**
 * Whether nobody may become this role by a pattern: postgres, root, PostgreSQL's own `pg_…`, and the configured ones, in
 * any spelling that CockroachDB takes for theirs.
 */
export function isReservedRole(role: string, reservedRoles: readonly string[]): boolean {
  const name = folded(role);
  return name === "postgres" || name === "root" || name.startsWith("pg_") ||
    reservedRoles.some((reserved) => folded(reserved) === name);
}

/** A name as CockroachDB folds it at login: without case, either Turkish i as i, and in normal form C. */
function folded(name: string): string {
  return name.replaceAll(/[\u0130\u0131]/g, "i").toLowerCase().normalize("NFC");
}

/** PostgreSQL cuts longer names without a word (NAMEDATALEN - 1), so two identities could become one role. */
export const NAME_MAX_BYTES = 63;

/** Whether PostgreSQL takes the text as a role's or database's name, whole. */
export function isName(text: string): boolean {
  return text !== "" && isRepresentable(text) && new TextEncoder().encode(text).length <= NAME_MAX_BYTES;
}

/** Whether the text survives the wire: NUL would end it early, a lone surrogate would become another character. */
export function isRepresentable(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}
