/** A role of every test cluster, named after the way it logs in. */
export type TestRole = "app_scram" | "app_md5" | "app_cleartext" | "app_cert" | "app_trust";

/** The passwords of the roles that have one. */
export const PASSWORDS = {
  app_scram: "scram-password",
  app_md5: "md5-password",
  app_cleartext: "cleartext-password",
} as const;

/** Makes the roles; what is stored of a password decides whether the server can ask for it by MD5. */
export const ROLES_SQL: readonly string[] = [
  "SET password_encryption = 'scram-sha-256'",
  `CREATE ROLE app_scram LOGIN PASSWORD '${PASSWORDS.app_scram}'`,
  `CREATE ROLE app_cleartext LOGIN PASSWORD '${PASSWORDS.app_cleartext}'`,
  "SET password_encryption = 'md5'",
  `CREATE ROLE app_md5 LOGIN PASSWORD '${PASSWORDS.app_md5}'`,
  "CREATE ROLE app_cert LOGIN",
  "CREATE ROLE app_trust LOGIN",
];

const METHODS: Readonly<Record<TestRole, string>> = {
  app_scram: "scram-sha-256",
  app_md5: "md5",
  app_cleartext: "password",
  app_cert: "cert",
  app_trust: "trust",
};

/**
 * Lines of `pg_hba.conf` that let each {@link TestRole} in by its method, from loopback, with TLS and without; a client
 * certificate needs TLS.
 */
export function everyMethodHba(): string[] {
  return Object.entries(METHODS).flatMap(([role, method]) => {
    const type = method === "cert" ? "hostssl" : "host";
    return ["127.0.0.1/32", "::1/128"].map((address) => `${type} all ${role} ${address} ${method}`);
  });
}
