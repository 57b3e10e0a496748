import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createAuthority } from "../support/certificates.ts";
import { fakeBackend, type Script } from "../support/hostile_peer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import {
  authentication,
  concat,
  cString,
  errorResponse,
  int16,
  int32,
  loginIsComplete,
  query,
  type RawMessage,
  readFields,
  readyForQuery,
  SSL_REQUEST,
  text,
  typed,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { backendsToml, fatal, letIn, refusalThrough, rowOf, rowsThrough } from "./backend_access.ts";

const authority = await createAuthority("hostile backends");
const certificate = await authority.issueForLoopback();

const resources = new AsyncDisposableStack();
let proxy: RunningProxy;
/** A proxy whose logins must be quick. */
let hasty: RunningProxy;
/** Somebody else's session through the same proxy, older than all that happens here. */
let bystander: RawConnection;
/** What the one hostile backend does with its next connection. */
let script: Script;
let connectionCount: () => number;

Deno.test.beforeAll(async () => {
  const cluster = resources.use(await PostgresCluster.start({ major: 18, tls: certificate }));
  const hostile = resources.use(await fakeBackend((connection, index) => script(connection, index)));
  connectionCount = hostile.connectionCount;
  const url = (query: string, host = "localhost") =>
    `postgres://app:pencil@${host}:${hostile.port}/postgres?${query}`;
  const toml = backendsToml({
    real: `postgres://app_trust@localhost:${cluster.port}/postgres?sslrootcert=ca.crt`,
    plain: url("sslmode=disable"),
    "plain elsewhere": url("sslmode=disable", "127.1"), // an address of this machine that is not known as one
    scram: [url("sslmode=disable"), 'require_auth = "scram-sha-256"'],
    require: url("sslmode=require"),
    "verify-ca": url("sslmode=verify-ca&sslrootcert=ca.crt"),
    direct: url("sslmode=require&sslnegotiation=direct"),
    "verify-full": url("sslmode=verify-full&sslrootcert=ca.crt"),
  });
  proxy = resources.use(await RunningProxy.start({ toml }, authority));
  hasty = resources.use(await RunningProxy.start({ toml, listen: 'login_timeout = "300ms"' }, authority));
  bystander = resources.use(await letIn(proxy, "real"));
});

Deno.test.afterAll(() => resources.disposeAsync());

/** Registers an attack: whatever comes of it, everybody else's session goes on, and new ones are let in. */
function attack(name: string, replay: () => Promise<void>): void {
  Deno.test(name, async () => {
    await replay();
    assert.deepEqual(await rowOf(bystander, "SELECT current_user"), ["app_trust"]);
    assert.deepEqual(await rowsThrough(proxy, "real", "SELECT current_user"), [{
      current_user: "app_trust",
    }]);
  });
}

/** Plays a login to the hostile backend's script, and gives what came of it and all the backend heard afterwards. */
async function refusedBy(
  backend: string,
  play: (connection: RawConnection) => Promise<void>,
  through = proxy,
) {
  const heard = Promise.withResolvers<Uint8Array>();
  script = async (connection) => {
    try {
      await play(connection);
      heard.resolve(await connection.receiveToEnd());
    } catch (thrown) {
      heard.reject(thrown);
    }
  };
  heard.promise.catch(() => {}); // if there is no refusal, that is what is wrong
  const before = connectionCount();
  const refusal = await refusalThrough(through, backend);
  assert.equal(connectionCount(), before + 1, "it is dialled once");
  return { ...refusal, heard: await heard.promise };
}

const SECRET = "see attacker.example.com";

// W2, W4: before TLS

for (const [what, bytes] of [["a byte", text("!")], ["a login", loginIsComplete()]] as const) {
  attack(`W2 ${what} behind the S of a backend is refused, and TLS does not begin`, async () => {
    const { told, heard, event } = await refusedBy("require", async (connection) => {
      assert.deepEqual(await connection.receiveUntyped(), SSL_REQUEST.subarray(4));
      await connection.send(text("S"), bytes);
    });
    assert.deepEqual(told, fatal("08P01", 'backend "require" broke the protocol of the login'));
    assert.match(event.reason!, /received data after the answer to SSLRequest/);
    assert.equal(heard.length, 0);
  });
}

attack("W2 an error in plain text where TLS should begin never reaches the client", async () => {
  const { told } = await refusedBy("verify-full", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(text("S"));
    await connection.receive(5); // the ClientHello has begun
    await connection.send(errorResponse("28000", SECRET));
  });
  assert.deepEqual(told, fatal("08001", 'could not reach backend "verify-full"'));
});

attack("W2 an ErrorResponse in answer to SSLRequest never reaches the client", async () => {
  const { told, event, heard } = await refusedBy("verify-full", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(errorResponse("28000", SECRET));
  });
  assert.match(told.C, /^08/);
  assert.deepEqual(told, fatal(told.C, told.M));
  assert.doesNotMatch(JSON.stringify(told), /attacker/);
  assert.doesNotMatch(Deno.inspect(event), /attacker/);
  assert.equal(heard.length, 0);
});

for (const mode of ["require", "verify-ca", "verify-full"]) {
  attack(
    `W4 N to SSLRequest ends a login with sslmode ${mode}, and nothing is sent in plain text`,
    async () => {
      const { told, heard } = await refusedBy(mode, async (connection) => {
        await connection.receiveUntyped();
        await connection.send(text("N"));
      });
      assert.deepEqual(told, fatal("08001", `could not reach backend "${mode}"`));
      assert.equal(heard.length, 0);
    },
  );
}

attack("W5 a backend that takes direct TLS without a word on ALPN is not spoken to", async () => {
  const { told, heard, event } = await refusedBy("direct", (connection) => connection.acceptTls(certificate));
  assert.deepEqual(told, fatal("08001", 'could not reach backend "direct"'));
  assert.match(event.reason!, /ALPN/);
  assert.equal(heard.length, 0);
});

// B1, B2: SCRAM

const sasl = authentication(10, concat(cString("SCRAM-SHA-256"), Uint8Array.of(0)));
const saslContinue = (message: string) => authentication(11, text(message));
const saslFinal = (message: string) => authentication(12, text(message));
const ok = authentication(0);

/** Begins SCRAM and gives the nonce of the proxy. */
async function beginScram(connection: RawConnection): Promise<string> {
  await connection.receiveUntyped();
  await connection.send(sasl);
  const { body } = await connection.receiveMessage();
  return /r=(.*)$/.exec(new TextDecoder().decode(body))![1];
}

/** Plays SCRAM up to a challenge that must not be answered. */
function challenged(by: (nonce: string) => string) {
  return refusedBy("scram", async (connection) => {
    await connection.send(saslContinue(by(await beginScram(connection))));
  });
}

for (const iterations of [2 ** 31, 2 ** 31 - 1, 10_000_000, 4095, 1]) {
  attack(`B1 ${iterations} SCRAM iterations are refused at once`, async () => {
    const { told, heard, event, durationMs } = await challenged((nonce) =>
      `r=${nonce}x,s=c2FsdA==,i=${iterations}`
    );
    assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
    assert.match(event.reason!, /iterations/);
    assert.equal(heard.length, 0);
    assert.ok(durationMs < 1_000, `${durationMs} ms`);
  });
}

attack("B1 the most SCRAM iterations that are answered leave the event loop free", async () => {
  const lag = measureLag();
  const { heard } = await refusedBy("scram", async (connection) => {
    const nonce = await beginScram(connection);
    lag.begin();
    await connection.send(saslContinue(`r=${nonce}x,s=c2FsdA==,i=1000000`));
    await connection.receiveMessage(); // it has been computed
    lag.end();
    connection.end();
  });
  assert.equal(heard.length, 0);
  assert.ok(
    lag.longestMs < lag.durationMs / 2,
    `it stood still for ${lag.longestMs} of ${lag.durationMs} ms`,
  );
});

for (
  const [what, challenge] of [
    ["that does not begin with ours", () => "r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=c2FsdA==,i=4096"],
    ["that is ours alone", (nonce) => `r=${nonce},s=c2FsdA==,i=4096`],
    ["of 300 bytes", (nonce) => `r=${nonce.padEnd(300, "x")},s=c2FsdA==,i=4096`],
    ["of 10 kB", (nonce) => `r=${nonce}${"x".repeat(10_000)},s=c2FsdA==,i=4096`],
  ] as const satisfies readonly (readonly [string, (nonce: string) => string])[]
) {
  attack(`B2 a SCRAM nonce ${what} is refused, and nothing is sent after`, async () => {
    const { told, heard } = await challenged(challenge);
    assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
    assert.equal(heard.length, 0);
  });
}

attack("B2 an empty SCRAM salt is refused, and nothing is sent after", async () => {
  const { told, heard, event } = await challenged((nonce) => `r=${nonce}x,s=,i=4096`);
  assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
  assert.match(event.reason!, /salt/);
  assert.equal(heard.length, 0);
});

for (
  const [what, outcome] of [
    ["that is wrong", [saslFinal(`v=${randomBytes(32).toString("base64")}`), loginIsComplete()]],
    ["that is empty", [saslFinal("v="), loginIsComplete()]],
    ["that is missing", [saslFinal(""), loginIsComplete()]],
    ["skipped by AuthenticationOk", [loginIsComplete()]],
  ] as const
) {
  attack(`B2 a SCRAM server signature ${what} is refused, and nothing is sent after`, async () => {
    const { told, heard } = await refusedBy("scram", async (connection) => {
      const nonce = await beginScram(connection);
      await connection.send(saslContinue(`r=${nonce}x,s=c2FsdA==,i=4096`));
      await connection.receiveMessage(); // our proof
      await connection.send(...outcome);
    });
    assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
    assert.equal(heard.length, 0);
  });
}

attack(
  "B2 AuthenticationOk in place of the SCRAM challenge is refused, and nothing is sent after",
  async () => {
    const { told, heard } = await refusedBy("scram", async (connection) => {
      await beginScram(connection);
      await connection.send(loginIsComplete());
    });
    assert.deepEqual(told, fatal("08P01", 'backend "scram" broke the protocol of the login'));
    assert.equal(heard.length, 0);
  },
);

// B3, B4, B5, B6: the rest of the login

for (
  const [what, backend, request] of [
    ["cleartext where SCRAM is required", "scram", authentication(3)],
    ["MD5 where SCRAM is required", "scram", authentication(5, Uint8Array.of(1, 2, 3, 4))],
    ["nothing where SCRAM is required", "scram", loginIsComplete()],
    ["cleartext without TLS off loopback", "plain elsewhere", authentication(3)],
    ["MD5 off loopback", "plain elsewhere", authentication(5, Uint8Array.of(1, 2, 3, 4))],
    ["GSSAPI", "plain", authentication(7)],
    [
      "a SASL mechanism nobody knows",
      "plain",
      authentication(10, concat(cString("X-PLAIN"), Uint8Array.of(0))),
    ],
    [
      "SCRAM-SHA-256-PLUS without TLS",
      "plain",
      authentication(10, concat(cString("SCRAM-SHA-256-PLUS"), cString("SCRAM-SHA-256"), Uint8Array.of(0))),
    ],
  ] as const
) {
  attack(`B3 a backend that asks for ${what} gets nothing`, async () => {
    const { told, heard } = await refusedBy(backend, async (connection) => {
      await connection.receiveUntyped();
      await connection.send(request);
    });
    assert.deepEqual(
      told,
      fatal("08001", `backend "${backend}" asked for a login method that is not allowed`),
    );
    assert.equal(heard.length, 0);
  });
}

for (
  const [what, fields] of [
    ["without any field", []],
    ["without an SQLSTATE", ["SFATAL", `M${SECRET}`]],
    ["with an SQLSTATE of two letters", ["SFATAL", "CXX", `M${SECRET}`]],
    ["with the SQLSTATE of success", ["SFATAL", "C00000", `M${SECRET}`]],
  ] as const
) {
  attack(`B4 an ErrorResponse ${what} is tolerated`, async () => {
    const { told } = await refusedBy("plain", async (connection) => {
      await connection.receiveUntyped();
      await connection.send(typed("E", concat(...fields.map(cString), Uint8Array.of(0))));
    });
    assert.deepEqual(told, fatal("08006", 'backend "plain" ended the login'));
  });
}

const status = (name: string, value: string) => typed("S", concat(cString(name), cString(value)));
const notice = (message: string) =>
  typed("N", concat(...["SNOTICE", "C00000", `M${message}`].map(cString), Uint8Array.of(0)));

attack("B5 what a backend says during login reaches the client unchanged and in order", async () => {
  const before = [notice("first")];
  const after = [
    status("a", "1"),
    notice("second"),
    status("a", "2"),
    status("b", "\u00e9"),
    notice("third"),
  ];
  script = async (connection) => {
    await connection.receiveUntyped();
    await connection.send(...before, ok, ...after, typed("K", concat(int32(1), int32(2))), readyForQuery());
    await connection.receiveToEnd();
  };
  await using client = await letIn(proxy, "plain");
  const [first, ...rest] = client.told;
  assert.deepEqual(bytesOf([first]), ok);
  assert.deepEqual(rest.splice(-2).map(({ type }) => type), ["K", "Z"]);
  assert.deepEqual(bytesOf(rest), concat(...before, ...after));
});

attack(
  "B5 NegotiateProtocolVersion of a backend is tolerated, and the client keeps the version it asked for",
  async () => {
    const asked = Promise.withResolvers<number>();
    script = async (connection) => {
      asked.resolve(new DataView((await connection.receiveUntyped()).slice().buffer).getInt32(0));
      await connection.send(typed("v", concat(int32(196608), int32(0))), loginIsComplete());
      await connection.receiveToEnd();
    };
    await using client = await letIn(proxy, "plain", { version: 196610 });
    assert.equal(await asked.promise, 196610);
    assert.equal(client.told.map(({ type }) => type).join(""), "RSKZ");
  },
);

attack("B6 a backend without BackendKeyData leaves the client without a key", async () => {
  script = async (connection) => {
    await connection.receiveUntyped();
    await connection.send(ok, status("server_version", "18.0"), readyForQuery());
    await connection.receiveToEnd();
  };
  await using client = await letIn(proxy, "plain");
  assert.equal(client.told.map(({ type }) => type).join(""), "RSZ");
});

for (const length of [4, 256]) {
  attack(`B6 a BackendKeyData whose key has ${length} bytes is good`, async () => {
    script = async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete(1, new Uint8Array(length)));
      await connection.receiveToEnd();
    };
    await using client = await letIn(proxy, "plain");
    const key = client.told.find(({ type }) => type === "K")!;
    assert.equal(key.body.length, 8, "the client's key is the proxy's own, of protocol 3.0");
  });
}

for (const length of [0, 3, 257]) {
  attack(`B6 a BackendKeyData whose key has ${length} bytes is refused`, async () => {
    const { told } = await refusedBy("plain", async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete(1, new Uint8Array(length)));
    });
    assert.deepEqual(told, fatal("08P01", 'backend "plain" broke the protocol of the login'));
  });
}

// B7: after the login

const column = concat(cString("a"), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0));
const rowDescription = typed("T", concat(int16(1), column));
const dataRow = typed("D", concat(int16(1), int32(1), text("1")));
const copyData = typed("d", text("1\n"));
const copyOut = typed("H", concat(Uint8Array.of(0), int16(1), int16(0)));
const copyIn = typed("G", concat(Uint8Array.of(0), int16(1), int16(0)));

/** A session whose backend says this in answer to its first message, and then waits for `leave`. */
async function sessionThatHears(...said: readonly Uint8Array[]) {
  const leaving = Promise.withResolvers<"end" | "reset">();
  script = async (connection) => {
    await connection.receiveUntyped();
    await connection.send(loginIsComplete());
    await connection.receiveMessage();
    await connection.send(...said);
    if (await leaving.promise === "reset") connection.reset();
  };
  const client = await letIn(proxy, "plain");
  await client.send(query("SELECT 1"));
  await client.receive(concat(...said).length);
  return { client, leave: leaving.resolve };
}

for (const how of ["end", "reset"] as const) {
  for (
    const [when, said] of [
      ["mid-query", [rowDescription, dataRow]],
      ["mid-COPY to the client", [copyOut, copyData]],
      ["mid-COPY from the client", [copyIn]],
      ["mid-transaction", [typed("C", cString("BEGIN")), readyForQuery("T")]],
    ] as const
  ) {
    attack(`B7 a backend that dies ${when} (${how}) is announced within a second`, async () => {
      const { client, leave } = await sessionThatHears(...said);
      await using _ = client;
      const startedMs = performance.now();
      leave(how);
      const error = await client.receiveMessage();
      assert.ok(performance.now() - startedMs < 1_000);
      const { H: hint, ...told } = readFields(error);
      assert.deepEqual(told, fatal("08006", "the backend closed the connection unexpectedly"));
      assert.match(hint, /Connect again/);
      assert.equal((await client.receiveToEnd()).length, 0);
    });
  }

  attack(`B7 a backend that dies inside a message (${how}) leaves it unfinished for the client`, async () => {
    const { client, leave } = await sessionThatHears(rowDescription, dataRow.subarray(0, 8));
    await using _ = client;
    const startedMs = performance.now();
    leave(how);
    assert.equal((await client.receiveToEnd()).length, 0);
    assert.ok(performance.now() - startedMs < 1_000);
  });
}

attack(
  "B7 a backend that stops reading slows its client down, and its death is announced within a second",
  async () => {
    const leaving = Promise.withResolvers<void>();
    script = async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveMessage();
      await connection.send(copyIn);
      connection.pause();
      await leaving.promise;
      connection.reset();
    };
    await using client = await letIn(proxy, "plain");
    await client.send(query("COPY t FROM STDIN"));
    await client.receiveMessage();
    const chunk = typed("d", new Uint8Array(1 << 20));
    let sent = 0;
    let isStalled = false;
    const flood = (async () => {
      while (!isStalled && sent < 64) await client.send(chunk).then(() => sent++);
    })();
    await waitUntil(stoodStill(() => sent), { what: "the client to be slowed down" });
    isStalled = true;
    assert.ok(sent > 0 && sent < 32, `${sent} MiB were taken off the client's hands`);
    assert.deepEqual(await rowOf(bystander, "SELECT current_user"), ["app_trust"]);
    const startedMs = performance.now();
    leaving.resolve();
    assert.equal(readFields(await client.receiveMessage()).C, "08006");
    assert.ok(performance.now() - startedMs < 1_000);
    await flood;
  },
);

for (
  const [when, backend, play] of [
    ["before it has said anything", "plain", () => Promise.resolve()],
    ["before TLS stands", "require", (connection) => connection.send(text("S"))],
    ["in SCRAM", "scram", (connection) => connection.send(sasl)],
    ["before BackendKeyData", "plain", (connection) => connection.send(ok)],
  ] as const satisfies readonly (readonly [string, string, (connection: RawConnection) => Promise<void>])[]
) {
  attack(`B7 a backend that stops writing ${when} is left when the login's time is up`, async () => {
    const { told, durationMs } = await refusedBy(backend, async (connection) => {
      await connection.receiveUntyped();
      await play(connection);
    }, hasty);
    assert.deepEqual(told, fatal("57014", "canceling authentication due to timeout"));
    assert.ok(durationMs < 2_000, `${durationMs} ms`);
  });
}

attack("B7 a backend that never stops greeting is left when the login's time is up", async () => {
  const { told, durationMs } = await refusedBy("plain", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(ok);
    const greet = async () => {
      if (connection.ending !== undefined) return true;
      await connection.send(notice("hello"));
    };
    await waitUntil(greet, { what: "the proxy to leave", intervalMs: 20 });
  }, hasty);
  assert.deepEqual(told, fatal("57014", "canceling authentication due to timeout"));
  assert.ok(durationMs < 2_000, `${durationMs} ms`);
});

attack("B7 a backend that greets without end is left when it has said 1 MiB", async () => {
  const { told, event } = await refusedBy("plain", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(ok);
    const greeting = notice("x".repeat(10_000));
    for (let count = 0; count < 200 && connection.ending === undefined; count++) {
      await connection.send(greeting);
    }
  });
  assert.deepEqual(told, fatal("08P01", 'backend "plain" broke the protocol of the login'));
  assert.match(event.reason!, /too much/);
});

attack("B7 a message of 2 GiB during login is refused by its length", async () => {
  const { told, durationMs } = await refusedBy("plain", async (connection) => {
    await connection.receiveUntyped();
    await connection.send(ok, typed("S", new Uint8Array(), 2 ** 31 - 1));
  });
  assert.deepEqual(told, fatal("08P01", 'backend "plain" broke the protocol of the login'));
  assert.ok(durationMs < 1_000, `${durationMs} ms`);
});

/** Whether a count has been the same for 300 ms. */
function stoodStill(count: () => number): () => boolean {
  let seen = { count: count(), sinceMs: performance.now() };
  return () => {
    if (count() !== seen.count) seen = { count: count(), sinceMs: performance.now() };
    return performance.now() - seen.sinceMs > 300;
  };
}

function bytesOf(messages: readonly RawMessage[]): Uint8Array {
  return concat(...messages.map(({ type, body }) => typed(type, body)));
}

/** Measures how long the event loop lets a timer of 1 ms wait, at most. */
function measureLag() {
  let timer: ReturnType<typeof setInterval>;
  let startedMs = 0;
  let lastMs = 0;
  const lag = { longestMs: 0, durationMs: 0, begin, end };
  function begin(): void {
    startedMs = lastMs = performance.now();
    timer = setInterval(tick, 1);
  }
  function tick(): void {
    lag.longestMs = Math.max(lag.longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }
  function end(): void {
    clearInterval(timer);
    tick();
    lag.durationMs = performance.now() - startedMs;
  }
  return lag;
}
