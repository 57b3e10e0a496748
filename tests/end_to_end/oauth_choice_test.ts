import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer } from "node:net";
import type { ConnectionParameters } from "../support/libpq18.ts";
import { testWithTokenHook } from "../support/token_hook.ts";
import { I_AM_ALICE, OauthScene } from "./oauth_scene.ts";

const WAYS_IN = `
[[ways_in]]
server_names = ["*.password.example.com"]
method = "password"

[[ways_in]]
databases = ["accounts"]
method = "password"

[[ways_in]]
networks = ["127.0.0.2/32"]
method = "password"

[[ways_in]]
users = ["alice"]
method = "oauthbearer"
issuer = "corp"
scope = "openid"
`;

let scene: OauthScene;
let token: string;

Deno.test.beforeAll(async () => {
  const serverNames = ["db.password.example.com", "db.example.com"];
  scene = await OauthScene.start({ waysIn: WAYS_IN, serverNames });
  token = await scene.mint();
});

Deno.test.afterEach(() => scene.isQuiet());

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

const named = (host: string): ConnectionParameters => ({ host, hostaddr: "127.0.0.1" });

/** Each is let in by one way on the one port, and says itself that it has come in by no other. */
const CHOICES: readonly [string, "password" | "oauthbearer", ConnectionParameters][] = [
  ["the server's name", "password", named("db.password.example.com")],
  ["another server's name", "oauthbearer", named("db.example.com")],
  ["no server's name", "oauthbearer", { host: "127.0.0.1", sslmode: "verify-ca" }],
  ["the server's name in direct TLS", "password", {
    ...named("db.password.example.com"),
    sslnegotiation: "direct",
  }],
  ["another server's name in direct TLS", "oauthbearer", {
    ...named("db.example.com"),
    sslnegotiation: "direct",
  }],
  ["the database", "password", { dbname: "accounts" }],
  ["another database", "oauthbearer", { dbname: "goods" }],
  ["another user, whom no table names", "password", { user: "operator" }],
];

for (const [what, method, parameters] of CHOICES) {
  testWithTokenHook(`psql is asked for its token by ${method}, because of ${what}`, "psql", async () => {
    await expectLogin(method, parameters);
  });
}

testWithTokenHook(
  "psql is asked for its token by password, because of the network it comes from",
  "psql",
  async () => {
    await using detour = await detourBy("127.0.0.2", scene.proxy.port);
    await expectLogin("password", { port: detour.port });
  },
);

testWithTokenHook(
  "psql is asked for its token by oauthbearer on the same detour from another network",
  "psql",
  async () => {
    await using detour = await detourBy("127.0.0.3", scene.proxy.port);
    await expectLogin("oauthbearer", { port: detour.port });
  },
);

testWithTokenHook("psql that insists on OAUTHBEARER gives its token to no other way in", "psql", async () => {
  const { code, stderr } = await scene.query(token, undefined, { dbname: "accounts", password: token });
  assert.equal(code, 2);
  assert.match(
    stderr,
    /authentication method requirement "oauth" failed: server requested a cleartext password\n$/,
  );
});

/** psql holds the proxy to the method by `require_auth`, and the proxy says which it was. */
async function expectLogin(
  method: "password" | "oauthbearer",
  parameters: ConnectionParameters,
): Promise<void> {
  const own: ConnectionParameters = method === "password"
    ? { require_auth: "password", password: token }
    : {};
  const { result: { stdout, stderr }, events } = await scene.eventsOf(() =>
    scene.query(token, undefined, { ...own, ...parameters })
  );
  assert.deepEqual({ stdout, stderr }, { stdout: I_AM_ALICE, stderr: "" });
  const methods = events.flatMap((event) => event.kind === "token_accepted" ? [event.method] : []);
  assert.deepEqual(methods, [method]);
}

/** A port whose connections go on to `port` from an address that libpq cannot be told to come from. */
async function detourBy(localAddress: string, port: number) {
  const server = createServer((from) => {
    const to = connect({ host: "127.0.0.1", port, localAddress });
    for (const [one, other] of [[from, to], [to, from]]) {
      one.on("error", () => other.destroy()).on("close", () => other.destroy()).pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
