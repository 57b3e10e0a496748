import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { UnusableDenyList, WatchedDenyList } from "../../lib/token/deny_list.ts";
import { issuerSchema } from "../../lib/token/schema.ts";
import { IssuersMisconfigured, type TokenEvent } from "../../lib/token/token_event.ts";
import { TokenVerifier } from "../../lib/token/token_verifier.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";

const PATH = "/etc/proxy/denied.txt";
const TOKEN = { issuer: "corp", claims: {}, expiresAtMs: 0, requireEmailVerified: true };
const ALICE = { ...TOKEN, subject: "alice" };
const BOB = { ...TOKEN, subject: "bob" };
const HOUR_MS = 3_600_000;

/** A disk of one file, whose times are by a clock of its own. */
class Disk {
  nowMs = 1_800_000_000_000;
  reads = 0;
  readonly events: TokenEvent[] = [];
  #file: { text: string; mtimeMs: number; ino: number } | null = null;

  /** Writes the file; later on it is an old one. */
  write(text: string, { ino = 1, mtimeMs = this.nowMs } = {}): void {
    this.#file = { text, mtimeMs, ino };
  }

  remove(): void {
    this.#file = null;
  }

  open(): Promise<WatchedDenyList> {
    return WatchedDenyList.open(PATH, {
      issuer: "corp",
      now: () => this.nowMs,
      report: (event) => void this.events.push(event),
      stat: () => {
        const { text, mtimeMs, ino } = this.#found();
        return Promise.resolve({ mtime: new Date(mtimeMs), size: text.length, ino, dev: 1 });
      },
      readTextFile: () => {
        this.reads++;
        return Promise.resolve(this.#found().text);
      },
    });
  }

  #found() {
    if (this.#file === null) throw new Deno.errors.NotFound("No such file");
    return this.#file;
  }
}

async function openOld(text: string) {
  const disk = new Disk();
  disk.write(text);
  disk.nowMs += HOUR_MS;
  return { disk, list: await disk.open() };
}

Deno.test("WatchedDenyList denies what its file names", async () => {
  const { list } = await openOld("sub alice\n");
  assert.deepEqual([list.has(ALICE), list.has(BOB)], [true, false]);
  await list.close();
});

Deno.test("WatchedDenyList reads a file that has not changed once", async () => {
  const { disk, list } = await openOld("sub alice\n");
  await list.look();
  await list.look();
  assert.equal(disk.reads, 1);
  assert.deepEqual(disk.events, []);
  await list.close();
});

Deno.test.each<[string, (disk: Disk) => void]>([
  ["is written", (disk) => disk.write("sub bob\n")],
  [
    "is put in its place by a rename, with the old time and size",
    (disk) => disk.write("sub bobby", { ino: 2, mtimeMs: disk.nowMs - HOUR_MS }),
  ],
])("WatchedDenyList goes by a file that %s", async (_name, change) => {
  const { disk, list } = await openOld("sub alice");
  change(disk);
  await list.look();
  assert.equal(list.has(ALICE), false);
  assert.deepEqual(disk.events, [{ kind: "deny_list_changed", issuer: "corp", entries: 1 }]);
  await list.close();
});

Deno.test("WatchedDenyList sees a second change in the same tick of the disk's clock, of the same length", async () => {
  const { disk, list } = await openOld("sub alice");
  disk.write("sub carol");
  await list.look();
  disk.write("sub david");
  await list.look();
  assert.equal(list.has({ ...TOKEN, subject: "david" }), true);
  await list.close();
});

Deno.test("WatchedDenyList says nothing of a file that is written and says the same", async () => {
  const { disk, list } = await openOld("sub alice");
  disk.write("sub alice");
  await list.look();
  assert.deepEqual(disk.events, []);
  await list.close();
});

Deno.test("WatchedDenyList keeps what it has while its file is gone, tells so once, and takes the file back", async () => {
  const { disk, list } = await openOld("sub alice");
  disk.remove();
  await list.look();
  await list.look();
  assert.equal(list.has(ALICE), true);
  disk.write("sub alice", { mtimeMs: disk.nowMs - HOUR_MS });
  await list.look();
  assert.deepEqual(disk.events, [
    { kind: "deny_list_failed", issuer: "corp", problem: `${PATH} cannot be read: it does not exist` },
    { kind: "deny_list_changed", issuer: "corp", entries: 1 },
  ]);
  await list.close();
});

Deno.test("WatchedDenyList keeps what it has while its file has mistakes, and tells of each change once", async () => {
  const { disk, list } = await openOld("sub alice");
  disk.write("sub alice\nbob\n");
  await list.look();
  await list.look();
  disk.nowMs += HOUR_MS;
  await list.look();
  assert.deepEqual([list.has(ALICE), list.has(BOB)], [true, false]);
  disk.write("sub alice\n\nbob\n");
  await list.look();
  const says = 'must be "jti" or "sub", a blank and its value';
  assert.deepEqual(disk.events, [
    { kind: "deny_list_failed", issuer: "corp", problem: `${PATH}:2 ${says}` },
    { kind: "deny_list_failed", issuer: "corp", problem: `${PATH}:3 ${says}` },
  ]);
  await list.close();
});

Deno.test("WatchedDenyList.open() tells of each mistake with its line, of ten at most", async () => {
  const disk = new Disk();
  disk.write("what\nis\nthis\n".repeat(5));
  await assert.rejects(disk.open(), (error) => {
    assert(error instanceof UnusableDenyList);
    assert.equal(error.problems.length, 10);
    assert.equal(error.problems[9], `${PATH}:10 must be "jti" or "sub", a blank and its value`);
    return true;
  });
});

Deno.test("WatchedDenyList.open() tells of a file that is not there", async () => {
  await assert.rejects(new Disk().open(), {
    name: "UnusableDenyList",
    message: `${PATH} cannot be read: it does not exist`,
  });
});

Deno.test("TokenVerifier.create() says which key of which issuer names a list that cannot be used, and leaves nothing open", async () => {
  const settings = v.parse(issuerSchema, {
    name: "corp",
    url: "https://login.example.com",
    audience: ["proxy"],
    deny_list: "denied.txt",
  });
  const creating = TokenVerifier.create([settings], {
    fetch: () => Promise.reject(new Error("nothing is fetched yet")),
    now: Date.now,
    baseDirectory: "/etc/proxy",
    stat: () => Promise.resolve({ mtime: null, size: 0, ino: 1, dev: 1 }),
    readTextFile: () => Promise.resolve("alice\n"),
  });
  await assert.rejects(creating, (error) => {
    assert(error instanceof IssuersMisconfigured);
    const message = `${PATH}:1 must be "jti" or "sub", a blank and its value`;
    assert.deepEqual(error.problems, [{ issuer: "corp", key: ["deny_list"], message }]);
    return true;
  });
});

Deno.test("WatchedDenyList sees by itself what an editor renames into place", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "denied.txt");
  await Deno.writeTextFile(path, "sub alice\n");
  const list = await WatchedDenyList.open(path, {
    issuer: "corp",
    now: Date.now,
    report: () => {},
    stat: Deno.stat,
    readTextFile: Deno.readTextFile,
  });
  await Deno.writeTextFile(`${path}~`, "sub bobby\n");
  await Deno.rename(`${path}~`, path);
  await waitUntil(() => list.has({ ...TOKEN, subject: "bobby" }), { what: "the list to be read again" });
  assert.equal(list.has(ALICE), false);
  await list.close();
});
