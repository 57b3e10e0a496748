import assert from "node:assert/strict";
import { POSTGRES_MAJORS, type PostgresMajor } from "../support/postgres_binaries.ts";
import type { ConnectionParameters } from "../support/libpq18.ts";
import { testWithTokenHook } from "../support/token_hook.ts";
import { OauthScene } from "./oauth_scene.ts";

const VERSIONS: readonly [version: string, parameters: ConnectionParameters][] = [
  ["3.0", { max_protocol_version: "3.0" }],
  ["3.2", { min_protocol_version: "3.2", max_protocol_version: "latest" }],
];

const resources = new AsyncDisposableStack();
const scenes = new Map<PostgresMajor, OauthScene>();

Deno.test.beforeAll(async () => {
  await Promise.all(
    POSTGRES_MAJORS.map(async (major) => scenes.set(major, resources.use(await OauthScene.start({ major })))),
  );
});

Deno.test.afterEach(async () => {
  for (const scene of scenes.values()) await scene.isQuiet();
});

Deno.test.afterAll(() => resources.disposeAsync());

for (const major of POSTGRES_MAJORS) {
  for (const [version, parameters] of VERSIONS) {
    testWithTokenHook(
      `psql by OAUTHBEARER and protocol ${version} works with PostgreSQL ${major}`,
      "psql",
      async () => {
        const scene = scenes.get(major)!;
        const statement =
          "select current_user, ssl, current_setting('server_version_num')::int / 10000 from pg_stat_ssl where pid = pg_backend_pid()";
        const { stdout, stderr } = await scene.query(await scene.mint(), statement, parameters);
        assert.deepEqual({ stdout, stderr }, { stdout: `app_scram|t|${major}\n`, stderr: "" });
      },
    );
  }

  testWithTokenHook(`pg_dump by OAUTHBEARER reads PostgreSQL ${major}`, "pg_dump", async () => {
    const scene = scenes.get(major)!;
    const { code, stdout } = await scene.run("pg_dump", await scene.mint(), { args: [] });
    assert.equal(code, 0);
    assert(stdout.includes(`\n-- Dumped from database version ${major}.`), stdout);
  });
}
