import assert from "node:assert/strict";
import { loadConfiguration } from "../../lib/config/load.ts";
import { ConfigurationError } from "../../lib/config/problem.ts";
import { outsideOf, PEM } from "./files.ts";

const readme = await textOf("README.md");
const validatorReadme = await textOf("lib/token/validator/README.md");

const [minimal, ...fragments] = tomlBlocks(readme);

/** What the fragments count on besides the minimal configuration. */
const AUTHORIZE = '[authorize]\npseudonym_key_file = "secrets/pseudonyms"\n';

Deno.test("README.md's minimal configuration is loaded", async () => {
  const { backends, policy } = await load(minimal);
  assert.deepEqual([[...backends.keys()], policy.rules.length], [["orders"], 1]);
});

Deno.test.each<[string, string]>([
  ...fragments.map((toml): [string, string] => [`README.md's ${firstTable(toml)}`, toml]),
  ...tomlBlocks(validatorReadme).map((
    toml,
  ): [string, string] => ["what the protocol of validators shows", toml]),
])("%s goes with README.md's minimal configuration", async (_what, toml) => {
  const { policy, waysIn } = await load(joined(toml));
  const count = (name: string) => toml.split(`[[${name}]]`).length - 1;
  assert.deepEqual([policy.rules.length, waysIn.length], [1 + count("rules"), count("ways_in")]);
});

Deno.test("README.md says of mistakes what is said", async () => {
  const [, said] = readme.match(/^```\n(config\.toml:.*?)^```/ms)!;
  const mistaken = minimal.replace("address =", "adress =").replace(/^audience = .*\n/m, "");
  await assert.rejects(load(mistaken), (error) => {
    assert(error instanceof ConfigurationError);
    assert.equal(error.message.replaceAll("/etc/proxy/", ""), said.trimEnd());
    return true;
  });
});

Deno.test("README.md's keys of a session's end are keys of a rule, with the values it names", async () => {
  const [, section] = readme.match(/^## A session and its token$(.*?)^## /ms)!;
  const rows = [...section.matchAll(/^\| (`\w+ = .*?) +\|/gm)].map(([, cell]) => cell);
  assert(rows.length >= 6);
  // What a key needs of its issuer, for some of them have no effect alone.
  const issuer = fragments.find((toml) => toml.includes("[issuers.introspection]"))!
    .replace(/^name = .*$/m, '$&\ndeny_list = "denied.txt"');
  for (const row of rows) {
    const [first, ...others] = [...row.matchAll(/`([^`]+)`/g)].map(([, code]) => code);
    const key = first.replace(/ = .*/, "");
    for (const line of [first, ...others.map((value) => `${key} = ${value}`)]) {
      await load(joined(issuer).replace(/^(backend = "orders")$/m, `$1\n${line}`));
    }
  }
});

function textOf(path: string): Promise<string> {
  return Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
}

function tomlBlocks(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^```toml\n(.*?)^```/gms)].map(([, toml]) => toml);
}

function firstTable(toml: string): string {
  return toml.match(/^\[\[\w+\]\]/)![0];
}

/** The minimal configuration with a fragment, whose issuer of the same name takes the other's place. */
function joined(fragment: string): string {
  const isTaken = fragment.includes('name = "corp"');
  const rest = isTaken ? minimal.replace(/^\[\[issuers\]\]$.*?(?=^\[)/ms, "") : minimal;
  return [rest, fragment, AUTHORIZE].join("\n");
}

function load(toml: string) {
  const secrets = { "secrets/orders": "x\n", "secrets/corp": "x\n", "secrets/pseudonyms": "k".repeat(64) };
  const outside = outsideOf({ ...PEM, ...secrets, "config.toml": toml });
  return loadConfiguration("/etc/proxy/config.toml", outside);
}
