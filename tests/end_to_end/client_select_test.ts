import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { fakeBackend } from "../support/hostile_peer.ts";
import { type ProgramResult, runProgram } from "../support/libpq_program.ts";
import {
  concat,
  cString,
  int16,
  int32,
  loginIsComplete,
  readyForQuery,
  text,
  typed,
} from "../support/raw_messages.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import { waitUntil } from "../support/wait_until.ts";
import { ClientScene } from "./client_scene.ts";

const PYTHON = "/usr/bin/python3";
const PROGRAM = fileURLToPath(new URL("../support/select_client.py", import.meta.url));

/** As large as the buffer that libpq begins with: what is left of the part before does not fit beside a record of that. */
const SECOND_PART = 16 * 1024;

/** Around all that PostgreSQL, libpq and TLS have in one piece: 8, 16, 32 and 64 KiB. */
const VALUE_LENGTHS = [8_000, 8_192, 9_000, 12_000, 16_300, 16_500, 24_000, 33_000, 65_000, 66_000, 200_000];
const ROW_LENGTHS = [1, 100, 700, 1_100, 3_000, 9_000];
const LINE_LENGTHS = [100, 3_000, 20_000];

const isMissing = !await hasPsycopg();

testWithPsycopg(
  "a program that waits by select misses nothing of a record that libpq has read in part",
  async () => {
    const result = rowsOf({ length: 8192 + SECOND_PART });
    await using backend = await fakeBackend(async (connection) => {
      await connection.receiveUntyped();
      await connection.send(loginIsComplete());
      await connection.receiveMessage();
      const before = await bytesOut(proxy);
      await connection.send(result.bytes.subarray(0, 8192));
      await waitUntil(async () => await bytesOut(proxy) === before + 8192, {
        what: "the first part to be on its way",
      });
      await connection.send(result.bytes.subarray(8192));
      await connection.receiveMessage(); // Terminate
    });
    await using proxy: RunningProxy = await RunningProxy.start({
      toml: `
[[backends]]
name = "parts"
url = "postgres://app@localhost:${backend.port}/postgres?sslmode=disable"

[[rules]]
issuer = "corp"
match = "alice@example.com"
backend = "parts"
`,
    });
    const token = await proxy.issuer.mint({ sub: "alice@example.com" });
    const { code, stdout, stderr } = await ask(proxy, token, ["SELECT"]);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    assert.equal(Number(stdout), result.valueBytes);
  },
);

testWithPsycopg("a program that waits by select gets results of any size", async () => {
  await using scene = await ClientScene.start();
  const { code, stdout, stderr } = await ask(scene.proxy, scene.token, [
    ...VALUE_LENGTHS.map((length) => `SELECT repeat('x', ${length})`),
    ...ROW_LENGTHS.map((length) => `SELECT repeat('x', ${length}) FROM generate_series(1, 400)`),
    ...LINE_LENGTHS.map((length) =>
      `COPY (SELECT repeat('x', ${length - 1}) FROM generate_series(1, 300)) TO STDOUT`
    ),
  ]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.deepEqual(stdout.trim().split("\n").map(Number), [
    ...VALUE_LENGTHS,
    ...ROW_LENGTHS.map((length) => length * 400),
    ...LINE_LENGTHS.map((length) => length * 300),
  ]);
});

function testWithPsycopg(name: string, test: () => Promise<void>): void {
  const note = isMissing ? " (needs psycopg 3: install the Debian package python3-psycopg)" : "";
  Deno.test({ name: `${name}${note}`, ignore: isMissing, fn: test });
}

async function hasPsycopg(): Promise<boolean> {
  try {
    return (await runProgram(PYTHON, ["-c", "import psycopg"])).code === 0;
  } catch {
    return false;
  }
}

function ask(proxy: RunningProxy, token: string, statements: readonly string[]): Promise<ProgramResult> {
  return runProgram(PYTHON, [PROGRAM, ...statements], {
    env: { ...proxy.libpqEnvironment(token), PGUSER: "alice", PGDATABASE: "postgres" },
    timeoutMs: 30_000,
  });
}

async function bytesOut(proxy: RunningProxy): Promise<number> {
  const { carried } = await proxy.census();
  return [...carried].reduce((sum, tally) => sum + tally.bytesOut, 0);
}

/** A whole result of that many bytes, in rows of about 1000: libpq makes room for no row by itself. */
function rowsOf({ length }: { readonly length: number }): { bytes: Uint8Array; valueBytes: number } {
  const description = typed(
    "T",
    concat(
      int16(1),
      cString("value"),
      int32(0), // table
      int16(0), // its column
      int32(25), // text
      int16(-1), // of any length
      int32(-1), // no modifier
      int16(0), // as text
    ),
  );
  const end = concat(typed("C", cString("SELECT")), readyForQuery());
  const rows: Uint8Array[] = [];
  let left = length - description.length - end.length;
  let valueBytes = 0;
  while (left > 0) {
    const rowLength = left < 2_000 ? left : 1_000;
    const value = "x".repeat(rowLength - 11); // less the header, the number of values and this one's length
    rows.push(typed("D", concat(int16(1), int32(value.length), text(value))));
    valueBytes += value.length;
    left -= rowLength;
  }
  return { bytes: concat(description, ...rows, end), valueBytes };
}
