import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import { outsideOf, PEM } from "./files.ts";

const example = await Deno.readTextFile(new URL("../../config.example.toml", import.meta.url));

const outside = (toml: string) =>
  outsideOf({ "config.toml": toml, ...PEM, "secrets/orders": "x\n", "secrets/pseudonyms": "k".repeat(64) }, {
    TENANTS_PASSWORD: "x",
  });

Deno.test("config.example.toml is loaded", async () => {
  const loaded = await loadConfiguration("/etc/proxy/config.toml", outside(example));
  const { issuers, waysIn, backends, policy } = loaded;
  assert.deepEqual(issuers.map(({ name }) => name), ["corp", "ci", "offline", "partner", "legacy"]);
  assert.deepEqual(waysIn.map(({ way }) => way.method), ["oauthbearer"]);
  assert.deepEqual([...backends.keys()], ["orders", "tenants"]);
  assert.equal(policy.rules.length, 5);
});

Deno.test("config.example.toml is loaded with every commented-out key in force", async () => {
  // A comment with a key in it has one space behind the hash, and no prose before the equals sign.
  const uncommented = example.replaceAll(/^# ((?:\w+ = | {2}"|\]).*)$/gm, "$1");
  assert.notEqual(uncommented, example);
  const { listen, backends } = await loadConfiguration("/etc/proxy/config.toml", outside(uncommented));
  assert.equal(listen.login_timeout, 30_000);
  assert.deepEqual([...backends.get("orders")!.set.keys()], ["work_mem", "application_name", "app.user"]);
});

Deno.test("config.example.toml says of each commented-out default what the default is", async () => {
  const shared =
    /^# (minimum_tls_version|insecure_plaintext|login_timeout|parameters = \[|ignore_parameters|reserved_roles|judged|failed_logins|discoveries|unauthenticated|connections = |connections_per_(address|identity))/;
  const lines = example.split("\n");
  const uncommented = lines.map((line) =>
    shared.test(line) || /^# {3}"|^# \]/.test(line) ? line.slice(2) : line
  ).join("\n");
  const [plain, explicit] = await Promise.all(
    [example, uncommented].map((toml) => loadConfiguration("/etc/proxy/config.toml", outside(toml))),
  );
  const essence = ({ listen, startup, policy, limits }: typeof plain) => {
    const { tls: _tls, ...rest } = listen;
    return { rest, startup, reserved: policy.reservedRoles, limits };
  };
  assert.notEqual(uncommented, example);
  assert.deepEqual(essence(explicit), essence(plain));
});
