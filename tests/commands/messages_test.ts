import assert from "node:assert/strict";
import { check } from "../../lib/commands/check.ts";
import { type TempDirectory, tempDirectory } from "../support/temp_directory.ts";
import { GOOD, MISTAKES, writeFiles } from "./mistakes.ts";
import { run, type RunOptions } from "./program.ts";

// What a person can do wrong, and what the program says: first in the configuration, then on the command line and at
// start-up, where the program itself is run.

const resources = new AsyncDisposableStack();
let directory: TempDirectory;

Deno.test.beforeAll(async () => {
  directory = resources.use(await tempDirectory());
  await writeFiles(directory);
});
Deno.test.afterAll(() => resources.disposeAsync());

Deno.test("check finds no fault in the configuration that all mistakes are made in", async () => {
  assert.deepEqual(await faultsOf(GOOD), []);
});

Deno.test("check says of each mistake in the configuration where it is and what to do", async (t) => {
  for (const [{ from, to }, ...faults] of MISTAKES) {
    assert(GOOD.includes(from), from);
    const told = await t.step(
      faults[0],
      async () => assert.deepEqual(await faultsOf(GOOD.replace(from, () => to)), faults),
    );
    assert(told);
  }
});

Deno.test("what check says of mistakes is one line each, begins with where it is, and ends without a period", () => {
  const lines = MISTAKES.flatMap(([, ...faults]) => faults);
  for (const line of lines) {
    assert.match(line, /^\d+: \S+ \S/);
    assert(!line.endsWith(".") && !line.includes("\n"), line);
  }
  assert(lines.length > 150, String(lines.length));
});

/** A command line; `GOOD` is at config.toml unless `toml` says otherwise. */
interface Case {
  readonly args: readonly string[];
  readonly toml?: string;
  readonly options?: RunOptions;
  readonly code: 1 | 2;
  /** All of standard error; where it is wrong usage, without the line that points to --help. */
  readonly says: string | RegExp;
}

const ALONE = [
  "--backends=backends.json",
  "--oidcDiscovery=https://127.0.0.1:9",
  "--audience=a",
  "--insecure",
];
const without = (flag: string) => ["start", ...ALONE.filter((one) => !one.startsWith(flag))];
const configured = (...args: readonly string[]) => ["start", "--config", "config.toml", ...args];
const duration = "must be a duration, such as 30s, 5m or 24h";
const address = "must be an IP address and a port, such as 127.0.0.1:6432, [::]:6432 or :6432";
const invalid = (option: string, value: string, says: string) =>
  `error: option '${option}' argument '${value}' is invalid: it ${says}`;

const MISUSED: readonly Omit<Case, "code">[] = [
  { args: ["strat"], says: "error: unknown command 'strat'\n(Did you mean start?)" },
  {
    args: ["start", "now"],
    says: "error: too many arguments for 'start': it takes options alone, and now is none",
  },
  { args: ["start"], says: "error: give --config, or --backends with --oidcDiscovery or --signingKeys" },
  { args: ["start", "--confg", "x"], says: "error: unknown option '--confg'\n(Did you mean --config?)" },
  { args: ["start", "--config"], says: "error: option '-c, --config <file>' argument missing" },
  {
    args: without("--backends"),
    says: "error: --backends is missing: without --config it says who is let in, and where",
  },
  {
    args: without("--oidc"),
    says:
      "error: --oidcDiscovery or --signingKeys is missing: without --config they say whose tokens are good",
  },
  {
    args: without("--audience"),
    says:
      "error: --audience is missing: name what the tokens must have in aud, or tokens for others would be good here",
  },
  {
    args: [...without("--oidc"), "--signingKeys", "key.pem"],
    says: "error: --issuer is missing: with --signingKeys name what the tokens must have as iss",
  },
  {
    args: without("--insecure"),
    says:
      "error: --bindCert and --bindKey are missing: tokens travel only inside TLS, unless --insecure is given",
  },
  {
    args: [...without("--insecure"), "--bindCert=server.crt"],
    says: "error: --bindCert and --bindKey go together",
  },
  { args: configured("--refresh", "soon"), says: invalid("--refresh <duration>", "soon", duration) },
  { args: configured("--refresh", "5"), says: invalid("--refresh <duration>", "5", duration) },
  {
    args: configured("--refresh", "10ms"),
    says: invalid(
      "--refresh <duration>",
      "10ms",
      'must be at least 1s, or "0": then it is loaded anew only when asked',
    ),
  },
  { args: configured("--gracePeriod", "-1s"), says: invalid("--gracePeriod <duration>", "-1s", duration) },
  {
    args: configured("--gracePeriod", "48h"),
    says: invalid("--gracePeriod <duration>", "48h", "must be between 0ms and 1d"),
  },
  { args: configured("--bindAddr", "db:1"), says: invalid("--bindAddr <address>", "db:1", address) },
  { args: configured("--bindAddr", ":65536"), says: invalid("--bindAddr <address>", ":65536", address) },
  { args: configured("--metricsAddr", "9187"), says: invalid("--metricsAddr <address>", "9187", address) },
  {
    args: configured("--insecure=maybe"),
    says: invalid("--insecure [boolean]", "maybe", "must be true or false"),
  },
  {
    args: configured("--oidcDiscovery", "http://x"),
    says: invalid("--oidcDiscovery <url>", "http://x", "must be a URL that begins with https://"),
  },
  {
    args: configured("--audience", "a,,b"),
    says: invalid("--audience <names>", "a,,b", "must be names with a comma between them"),
  },
  {
    args: configured("--jwtField", "a..b"),
    says: invalid(
      "--jwtField <claim>",
      "a..b",
      "must be a dotted path of claim names, such as realm_access.roles",
    ),
  },
  {
    args: configured("--logFormat", "xml"),
    says: invalid("--logFormat <format>", "xml", "must be one of text, json, fluent"),
  },
];

Deno.test.each(MISUSED.map((one) => [one.args.join(" "), one] as const))(
  "%s ends with exit code 2 and one sentence",
  async (_name, { args, says }) => {
    const { code, stdout, stderr } = await run(args, { cwd: directory.path });
    assert.deepEqual({ code, stdout, stderr }, {
      code: 2,
      stdout: "",
      stderr: `${says}\n(--help shows how)\n`,
    });
  },
);

const CANNOT: readonly Omit<Case, "code">[] = [
  {
    args: ["start", "--config", "none.toml"],
    says: "none.toml: is the configuration file, which does not exist",
  },
  { args: ["start", "--config", "."], says: ".: is the configuration file, which is a directory" },
  {
    args: configured(),
    options: { permissions: ["--allow-net"] },
    says:
      /^config\.toml: is the configuration file, which Deno may not read: start with --allow-read=\S+\/config\.toml$/,
  },
  {
    args: configured(),
    options: { permissions: ["--allow-read"] },
    says: "Deno does not permit what the configuration needs:" +
      " start with --allow-net=127.0.0.1:6432,db1.internal:5432",
  },
  {
    args: configured("--logDestination", "none/proxy.log"),
    options: { permissions: ["--allow-net", "--allow-read", "--allow-write"] },
    says: /none\/proxy\.log/,
  },
  {
    args: configured("--logDestination", "proxy.log"),
    says: /^Deno does not permit what the configuration needs: start with --allow-write=\S+\/proxy\.log$/,
  },
  {
    args: configured("--bindAddr", "192.0.2.1:6432"), // RFC 5737: no machine has it
    says:
      "cannot listen on listen.address: this machine has no such address; choose one it has, or 0.0.0.0 for all",
  },
  {
    args: configured("--bindCert", "none.crt"),
    says: /^--bindCert names \S+\/none\.crt, which does not exist$/,
  },
  {
    args: configured("--bindKey", "other.key"),
    says: /^--bindKey names \S+\/other\.key, which is not the key of server\.crt$/,
  },
  {
    args: configured("--signingKeys", "server.key"),
    says:
      /^--signingKeys cannot be used: key file \S+ holds a private key; give only the public key, as openssl pkey -pubout writes it$/,
  },
  {
    args: configured("--backends", "none.json"),
    says: "--backends names none.json, which does not exist",
  },
  {
    args: configured("--oidcDiscovery", "https://127.0.0.1:9"),
    says:
      "--oidcDiscovery cannot be used: https://127.0.0.1:9/.well-known/openid-configuration could not be fetched:" +
      " Fetch failed: Requests to port 9 are blocked",
  },
  {
    args: ["explain", "--config", "config.toml"],
    says: "there is no token: standard input has nothing in it",
  },
  {
    args: ["explain", "--config", "config.toml", "--token-file", "empty"],
    says: "there is no token: empty has nothing in it",
  },
  {
    args: ["explain", "--config", "config.toml", "--token", " "],
    says:
      "warning: everybody on this machine can read a token on the command line: give it by standard input or" +
      " --token-file\nthere is no token: --token has nothing in it",
  },
  {
    args: ["explain", "--config", "config.toml", "--token-file", "none"],
    says: "--token-file names none, which does not exist",
  },
  {
    args: [
      "explain",
      "--config",
      "config.toml",
      "--token-file",
      "key.pem",
      "--client-certificate",
      "key.pem",
    ],
    says: "--client-certificate names key.pem, which holds no certificate in PEM form",
  },
  {
    args: ["explain", "--config", "config.toml", "--token-file", "key.pem", "--client-address", "here"],
    says: "--client-address must be an IP address",
  },
  {
    args: ["explain", "--config", "config.toml", "--token-file", "key.pem", "--listener", "1.2.3.4:5"],
    says: "--listener must be one of listen.address: there is 127.0.0.1:6432",
  },
  {
    args: ["permissions", "--config", "none.toml"],
    says: "none.toml: is the configuration file, which does not exist",
  },
];

Deno.test.each(CANNOT.map((one) => [one.args.join(" "), one] as const))(
  "%s ends with exit code 1 and says why",
  async (_name, { args, says, options }) => {
    await directory.write("config.toml", GOOD);
    const { code, stdout, stderr } = await run(args, { ...options, cwd: directory.path });
    assert.deepEqual({ code, stdout }, { code: 1, stdout: "" }, stderr);
    if (typeof says === "string") assert.equal(stderr, `${says}\n`);
    else assert.match(stderr.trimEnd(), says);
  },
);

Deno.test("start says that an address is taken, whichever it is", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const at = `127.0.0.1:${(taken.addr as Deno.NetAddr).port}`;
  await directory.write("config.toml", GOOD);
  const says = "another program listens there already; stop it or choose another port\n";
  const listener = await run(configured("--bindAddr", at), { cwd: directory.path });
  assert.deepEqual([listener.code, listener.stderr], [1, `cannot listen on listen.address: ${says}`]);
  const metrics = await run(configured("--bindAddr", "127.0.0.1:0", "--metricsAddr", at), {
    cwd: directory.path,
  });
  assert.deepEqual([metrics.code, metrics.stderr], [1, `cannot listen on admin.address: ${says}`]);
});

Deno.test("check by the real program prints a table, or JSON, and its exit code tells of faults", async () => {
  await directory.write("config.toml", GOOD);
  const good = await run(["check", "--config", "config.toml"], { cwd: directory.path });
  assert.deepEqual([good.code, good.stderr], [0, ""]);
  assert.match(good.stdout, /^ok +issuer corp +1 key read from files$/m);
  assert.match(good.stdout, /\n\n0 faults, 0 warnings\n$/);
  await directory.write("config.toml", GOOD.replace("match", "mach"));
  const bad = await run(["check", "--config", "config.toml", "--json"], { cwd: directory.path });
  assert.deepEqual([bad.code, bad.stderr], [1, ""]);
  const findings = JSON.parse(bad.stdout).filter(({ state }: { state: string }) => state === "fault");
  assert.deepEqual(findings, [{
    what: "configuration",
    state: "fault",
    detail: "config.toml:17: rules[0].mach is not a known key: did you mean match?",
  }]);
});

Deno.test.each([["check"], ["explain"], ["permissions"], ["start"]])(
  "%s --help has an example, every flag and the exit codes",
  async (command) => {
    const { code, stdout, stderr } = await run([command, "--help"]);
    assert.deepEqual([code, stderr], [0, ""]);
    for (
      const word of [
        "Example",
        `pg-auth-proxy ${command}`,
        "--config",
        "--bindCert",
        "--verbose",
        "Exit codes",
      ]
    ) {
      if (command === "permissions" && word.startsWith("pg-")) continue; // Deno is what it is run by
      assert(stdout.includes(word), word);
    }
  },
);

async function faultsOf(toml: string): Promise<readonly string[]> {
  const path = await directory.write("config.toml", toml);
  const findings = await check({ source: { path }, connects: false });
  return findings.filter(({ state }) => state === "fault").map(({ detail }) =>
    detail.replaceAll(`${directory.path}/`, "").replace("config.toml:", "")
  );
}
