import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  concat,
  loginIsComplete,
  passwordMessage,
  query,
  type RawMessage,
  readFields,
  SSL_REQUEST,
  startupMessage,
  text,
  typed,
} from "../support/raw_messages.ts";
import { fakeBackend } from "../support/hostile_peer.ts";
import { waitUntil } from "../support/wait_until.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { ClientScene } from "./client_scene.ts";

const MEGABYTE = 1_000_000;

/** A line of a COPY: 99 characters and the end. */
const LINE = "x".repeat(99) + "\n";
const LINES = 1_000_000; // 100 MB

/** By how much the process may grow while a peer is stalled, in bytes; what is stalled is many times that. */
const MAX_GROWTH = 100 * MEGABYTE;

let scene: ClientScene;

Deno.test.beforeAll(async () => {
  scene = await ClientScene.start();
  await scene.cluster.sql("create unlogged table lines (line text)");
  await scene.cluster.sql("grant all on lines to app_scram");
});

Deno.test.afterEach(() => scene.isQuiet());

Deno.test.afterAll(async () => {
  await scene[Symbol.asyncDispose]();
});

Deno.test("S2 a result of 400 MB for a client that does not read costs no memory, and arrives when it does", async () => {
  await using client = await BulkClient.logIn(scene);
  const growth = startMeasuring();
  const rows = 40_000;
  await client.send(query(`copy (select repeat('x', 9999) from generate_series(1, ${rows})) to stdout`));
  await waitUntil(async () => {
    const [row] = await scene.cluster.sql("select wait_event from pg_stat_activity where query like 'copy%'");
    return row?.wait_event === "ClientWrite";
  }, { what: "the backend to be held up" });
  await growth.staysUnder(MAX_GROWTH, { forMs: 500 });
  assert.deepEqual(await client.receiveResult(), { rows, bytes: rows * 10_000, tag: `COPY ${rows}` });
});

Deno.test("S2 a COPY of 250 MB to a backend that waits for a lock costs no memory, and arrives when it has it", async () => {
  await using holder = await scene.pgClient();
  await holder.query("begin; truncate lines; lock table lines");
  await using client = await BulkClient.logIn(scene);
  const growth = startMeasuring();
  await client.send(query("copy lines from stdin"));
  let sent = 0;
  const lines = 250_000;
  const sending = (async () => {
    const chunk = typed("d", text(("x".repeat(999) + "\n").repeat(100)));
    for (; sent < lines; sent += 100) await client.send(chunk);
    await client.send(typed("c"));
  })();
  await heldUp(() => sent);
  assert.ok(sent < lines / 2, "the client was never held up");
  await growth.staysUnder(MAX_GROWTH, { forMs: 500 });
  await holder.query("rollback");
  await sending;
  assert.equal((await client.receiveResult()).tag, `COPY ${lines}`);
});

Deno.test("S2 a backend that stops reading holds its client up, and costs no memory", async () => {
  const stalled = Promise.withResolvers<void>();
  await using backend = await fakeBackend(async (connection, index) => {
    await connection.receiveUntyped();
    if (index > 0) return; // the cancel of the query that its client has left
    await connection.send(loginIsComplete());
    await connection.receiveMessage();
    connection.pause();
    await stalled.promise;
  }, { timeoutMs: 30_000 });
  using _ = { [Symbol.dispose]: stalled.resolve };
  await using proxy = await RunningProxy.start({
    toml: `
[[backends]]
name = "stalled"
url = "postgres://app@localhost:${backend.port}/postgres?sslmode=disable"

[[rules]]
issuer = "corp"
match = "alice@example.com"
backend = "stalled"
`,
  });
  const token = await proxy.issuer.mint({ sub: "alice@example.com" });
  await using client = await BulkClient.logIn({ proxy, token });
  const growth = startMeasuring();
  await client.send(query("copy lines from stdin"));
  let sent = 0;
  const chunk = typed("d", new Uint8Array(65_536));
  const sending = (async () => {
    for (; sent < 400 * MEGABYTE; sent += chunk.length) await client.send(chunk);
  })();
  sending.catch(() => {}); // it ends when the connection is closed
  await heldUp(() => sent);
  assert.ok(sent < 200 * MEGABYTE, "the client was never held up");
  await growth.staysUnder(MAX_GROWTH, { forMs: 500 });
});

Deno.test("a COPY out of 100 MB arrives whole", async () => {
  await using client = await BulkClient.logIn(scene);
  await client.send(query(`copy (select repeat('x', 99) from generate_series(1, ${LINES})) to stdout`));
  assert.deepEqual(await client.receiveResult(), {
    rows: LINES,
    bytes: LINES * LINE.length,
    tag: `COPY ${LINES}`,
  });
});

Deno.test("a result of 100 MB arrives whole", async () => {
  await using client = await BulkClient.logIn(scene);
  await client.send(query("select repeat('x', 999) from generate_series(1, 100000)"));
  const bytesOfRow = 2 + 4 + 999; // count of values, length, value
  assert.deepEqual(await client.receiveResult(), {
    rows: 100_000,
    bytes: 100_000 * bytesOfRow,
    tag: "SELECT 100000",
  });
});

Deno.test("a COPY in of 100 MB arrives whole", async () => {
  await using client = await BulkClient.logIn(scene);
  await client.send(query("begin; truncate lines; copy lines from stdin"));
  const chunk = typed("d", text(LINE.repeat(1_000)));
  for (let sent = 0; sent < LINES; sent += 1_000) await client.send(chunk);
  await client.send(typed("c"));
  const { tag } = await client.receiveResult();
  assert.equal(tag, `COPY ${LINES}`);
  await client.send(query("select count(*), sum(length(line)) from lines"));
  assert.deepEqual(await client.receiveValues(), [String(LINES), String(LINES * 99)]);
});

Deno.test("postgres.js copies a stream in", async () => {
  await using sql = scene.postgresJs();
  await sql`create temporary table numbers (line text)`;
  const lines = Readable.from(Array.from({ length: 20 }, () => LINE.repeat(10_000)));
  await pipeline(lines, await sql`copy numbers from stdin`.writable());
  const [row] = await sql`select count(*)::int, sum(length(line))::int from numbers`;
  assert.deepEqual({ ...row }, { count: 200_000, sum: 200_000 * 99 });
});

Deno.test("a COPY in that fails half way leaves the session usable", async () => {
  await using client = await BulkClient.logIn(scene);
  await client.send(query("create temporary table numbers (n int); copy numbers from stdin"));
  await client.send(typed("d", text("1\n2\nthree\n")));
  const chunk = typed("d", text("4\n".repeat(30_000)));
  for (let i = 0; i < 100; i++) await client.send(chunk); // the backend drops what comes behind its error
  await client.send(typed("c"));
  await assert.rejects(client.receiveResult(), { message: "22P02" });
  await client.send(query("select 'goes', 'on'"));
  assert.deepEqual(await client.receiveValues(), ["goes", "on"]);
});

/** A client that takes from the network only what it is asked to, and keeps nothing of a result but its size. */
class BulkClient implements AsyncDisposable {
  readonly #connection: Deno.TlsConn;
  readonly #chunk = new Uint8Array(65_536);
  /** The beginning of a message whose end has not come yet. */
  #cut = new Uint8Array();

  private constructor(connection: Deno.TlsConn) {
    this.#connection = connection;
  }

  static async logIn({ proxy, token }: { proxy: RunningProxy; token: string }): Promise<BulkClient> {
    const plain = await Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
    await plain.write(SSL_REQUEST);
    await plain.read(new Uint8Array(1));
    const caCerts = [proxy.authority.certificatePem];
    const client = new BulkClient(await Deno.startTls(plain, { hostname: "localhost", caCerts }));
    await client.send(startupMessage({ user: "alice", database: "postgres" }));
    await client.#receiveUntil("R");
    await client.send(passwordMessage(token));
    await client.#receiveUntil("Z");
    return client;
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.#connection.write(bytes.subarray(sent));
  }

  /**
   * Reads up to ReadyForQuery, and counts what came in DataRow and CopyData.
   *
   * @throws {Error} with the SQLSTATE of an ErrorResponse
   */
  async receiveResult(): Promise<{ rows: number; bytes: number; tag?: string }> {
    let [rows, bytes] = [0, 0];
    let tag: string | undefined;
    let sqlstate: string | undefined;
    await this.#receiveUntil("Z", ({ type, body }) => {
      if (type === "d" || type === "D") {
        rows++;
        bytes += body.length;
      } else if (type === "C") {
        tag = new TextDecoder().decode(body.subarray(0, -1));
      } else if (type === "E") {
        sqlstate = readFields({ type, body }).C;
      }
    });
    if (sqlstate !== undefined) throw new Error(sqlstate);
    return { rows, bytes, tag };
  }

  /** Reads up to ReadyForQuery, and returns the values of the one row. */
  async receiveValues(): Promise<string[]> {
    const values: string[] = [];
    await this.#receiveUntil("Z", ({ type, body }) => {
      if (type !== "D") return;
      const view = new DataView(body.buffer, body.byteOffset);
      for (let at = 2; at < body.length; at += 4 + view.getInt32(at)) {
        values.push(new TextDecoder().decode(body.subarray(at + 4, at + 4 + view.getInt32(at))));
      }
    });
    return values;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
    return Promise.resolve();
  }

  async #receiveUntil(last: string, onMessage: (message: RawMessage) => void = () => {}): Promise<void> {
    for (let isOver = false; !isOver;) {
      const length = await this.#connection.read(this.#chunk);
      assert.ok(length !== null, "the proxy closed the connection");
      const received = this.#chunk.subarray(0, length);
      const bytes = this.#cut.length === 0 ? received : concat(this.#cut, received);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      let at = 0;
      while (at + 5 <= bytes.length && at + 1 + view.getInt32(at + 1) <= bytes.length) {
        const end = at + 1 + view.getInt32(at + 1);
        const type = String.fromCharCode(bytes[at]);
        onMessage({ type, body: bytes.subarray(at + 5, end) });
        if (type === last) isOver = true;
        at = end;
      }
      this.#cut = bytes.slice(at);
    }
  }
}

/** From now on, by how much has the process grown? */
function startMeasuring() {
  const before = Deno.memoryUsage().rss;
  const growth = () => Deno.memoryUsage().rss - before;
  return {
    async staysUnder(limit: number, { forMs }: { forMs: number }): Promise<void> {
      for (const begun = performance.now(); performance.now() - begun < forMs;) {
        assert.ok(growth() < limit, `the process has grown by ${Math.round(growth() / MEGABYTE)} MB`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

/** Waits until a count has stopped growing. */
async function heldUp(count: () => number): Promise<void> {
  let before = -1;
  await waitUntil(() => before === (before = count()), { what: "the sender to be held up", intervalMs: 300 });
}
