import type { PostgresCluster } from "./postgres_cluster.ts";
import { giveToServerUser } from "./server_user.ts";

/** Lines of `pg_hba.conf` that let `role` in by a token, from loopback inside TLS. */
export function oauthHba(role: string): string[] {
  const options = 'issuer="https://login.example.com" scope="openid"';
  return ["127.0.0.1/32", "::1/128"].map((address) => `hostssl all ${role} ${address} oauth ${options}`);
}

/** Registers a test that needs a C compiler; without one it is ignored, and its name says what is missing. */
export function testWithCompiler(name: string, test: () => Promise<void>): void {
  if (hasCompiler()) Deno.test(name, test);
  else Deno.test({ name: `${name} (needs cc: install a C compiler)`, ignore: true, fn() {} });
}

/** Whether there is a C compiler. */
export function hasCompiler(): boolean {
  try {
    return new Deno.Command("cc", { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

/**
 * Has a PostgreSQL 18 judge tokens by {@link acceptTokens}, for whom these lines of `pg_hba.conf` let in by `oauth`. It
 * comes with no validator, so one is compiled.
 */
export async function installOauthValidator(cluster: PostgresCluster, hba: readonly string[]): Promise<void> {
  const library = `${cluster.dataDirectory}/oauth_validator.so`;
  const source = new URL("oauth_validator.c", import.meta.url).pathname;
  const { success, stderr } = await new Deno.Command("cc", {
    args: ["-O1", "-fPIC", "-shared", "-o", library, source],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  await giveToServerUser(library);
  await cluster.reload({ hba, settings: { oauth_validator_libraries: library } });
}

/** From now on these tokens are accepted, each as its bearer's, and no others. */
export async function acceptTokens(
  cluster: PostgresCluster,
  tokens: Readonly<Record<string, string>>,
): Promise<void> {
  const path = `${cluster.dataDirectory}/accepted_tokens`;
  const lines = Object.entries(tokens).map(([token, bearer]) => `${token} ${bearer}\n`);
  await Deno.writeTextFile(path, lines.join(""), { mode: 0o600 });
  await giveToServerUser(path);
}
