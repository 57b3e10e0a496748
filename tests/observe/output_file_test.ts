import assert from "node:assert/strict";
import { join } from "node:path";
import type { ProxyEvent } from "../../lib/observe/events.ts";
import { AppendedFile, type OpenFile } from "../../lib/observe/appended_file.ts";
import { OutputFile } from "../../lib/observe/output_file.ts";
import { tempDirectory } from "../support/temp_directory.ts";
import { waitUntil } from "../support/wait_until.ts";

async function opened(path: string, maxWaitingLength?: number) {
  const events: ProxyEvent[] = [];
  const file = await OutputFile.open(path, {
    output: "audit",
    report: (event) => events.push(event),
    gap: (lines) => `${lines} lost\n`,
    maxWaitingLength,
    retryMs: 10,
  });
  return { file, events };
}

Deno.test("OutputFile appends to what is there, and truncates nothing", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "audit.jsonl");
  await Deno.writeTextFile(path, "before\n");
  {
    await using file = (await opened(path)).file;
    file.write("after\n");
  }
  assert.equal(await Deno.readTextFile(path), "before\nafter\n");
});

Deno.test("OutputFile makes a file that only its user and group can read", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "audit.jsonl");
  await using _file = (await opened(path)).file;
  const { mode } = await Deno.stat(path);
  assert.equal((mode ?? 0) & 0o137, 0);
});

Deno.test("OutputFile opened anew goes on in a new file, and loses nothing", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "audit.jsonl");
  {
    await using file = (await opened(path)).file;
    file.write("one\n");
    await waitUntil(async () => await Deno.readTextFile(path) !== "", { what: "the first line" });
    await Deno.rename(path, `${path}.1`);
    file.write("two\n");
    await file.reopen();
    file.write("three\n");
  }
  const [old, now] = await Promise.all([`${path}.1`, path].map((one) => Deno.readTextFile(one)));
  assert.equal(old + now, "one\ntwo\nthree\n");
  assert.match(now, /three\n$/);
});

Deno.test("OutputFile that cannot be opened anew goes on in the old one, tells so, and tells when it could be", async () => {
  await using directory = await tempDirectory();
  const place = join(directory.path, "logs");
  const path = join(place, "audit.jsonl");
  await Deno.mkdir(place);
  const { file, events } = await opened(path);
  {
    await using _closing = file;
    await Deno.rename(place, `${place}.old`);
    await file.reopen();
    file.write("kept\n");
    await waitUntil(async () => await Deno.readTextFile(join(`${place}.old`, "audit.jsonl")) === "kept\n", {
      what: "the line in the old file",
    });
    await Deno.mkdir(place);
    await file.reopen();
    file.write("new\n");
  }
  assert.equal(await Deno.readTextFile(path), "new\n");
  assert.deepEqual(events.map(({ kind }) => kind), ["output_failed", "output_resumed"]);
  const [failed] = events as Extract<ProxyEvent, { kind: "output_failed" }>[];
  assert.match(
    failed.reason,
    /^it could not be opened anew, and the old one is still written to: No such file/,
  );
});

Deno.test("OutputFile on a full disk tells so once, keeps lines as long as there is room, and counts the others", async () => {
  const { file, events } = await opened("/dev/full", 10);
  await using _closing = file;
  const started = performance.now();
  for (let line = 0; line < 1000; line++) file.write("12345678\n");
  assert(performance.now() - started < 100);
  const lost = () => events.flatMap((event) => event.kind === "lines_lost" ? [event.lines] : []);
  await waitUntil(() => lost().length > 0, { what: "lines to be counted as lost" });
  const failed = events.filter(({ kind }) => kind === "output_failed");
  const reason = "No space left on device (os error 28)";
  assert.deepEqual(failed, [{ kind: "output_failed", output: "audit", path: "/dev/full", reason }]);
  assert.deepEqual(lost(), [999]);
});

Deno.test("OutputFile is closed no sooner than the write under way is over", async () => {
  const { promise: over, reject: fail } = Promise.withResolvers<number>();
  let isOver = false;
  const file = await OutputFile.open("log", {
    ...{ output: "log", report: () => {} },
    open: () =>
      Promise.resolve({
        write: () => over.finally(() => isOver = true),
        close: () => setTimeout(() => fail(new Error("it is closed")), 50),
      }),
  });
  file.write("a line\n");
  await file[Symbol.asyncDispose]();
  assert(isOver);
});

Deno.test("OutputFile writes what waited when the disk has room again, with a word where lines are missing", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "audit.jsonl");
  await Deno.symlink("/dev/full", path);
  const { file, events } = await opened(path, 10);
  {
    await using _closing = file;
    for (let line = 1; line <= 3; line++) file.write(`line ${line}\n`);
    await waitUntil(() => events.length >= 2, { what: "the disk to have failed" });
    await Deno.remove(path);
    await file.reopen();
    await waitUntil(() => events.at(-1)?.kind === "output_resumed", { what: "the disk to be back" });
    file.write("later\n");
  }
  assert.equal(await Deno.readTextFile(path), "line 1\n2 lost\nlater\n");
  assert.deepEqual(events.at(-1), { kind: "output_resumed", output: "audit", path, lines: 2 });
});

Deno.test("OutputFile waits for nobody who holds a pipe and reads nothing", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "pipe");
  await new Deno.Command("mkfifo", { args: [path] }).output();
  using reader = await Deno.open(path, { read: true, write: true });
  const { file } = await opened(path);
  const started = performance.now();
  for (let line = 0; line < 10_000; line++) file.write("x".repeat(99) + "\n");
  assert(performance.now() - started < 500);
  await emptied(reader, 1_000_000);
  await file[Symbol.asyncDispose]();
});

Deno.test("AppendedFile that nobody reads from is opened in vain, and leaves no open under way", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "pipe");
  await new Deno.Command("mkfifo", { args: [path] }).output();
  const opening = AppendedFile.open(path, { failed: () => {}, written: () => {} });
  await assert.rejects(opening, /it takes too long to open: if it is a pipe, something must read from it$/);
});

Deno.test("AppendedFile gives up a pipe that another has taken the place of meanwhile", async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, "pipe");
  const makePipe = (place: string) => new Deno.Command("mkfifo", { args: [place] }).output();
  await makePipe(path);
  const opening = AppendedFile.open(path, { failed: () => {}, written: () => {} });
  // It waits in the first pipe by then.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await Deno.rename(path, `${path}.1`);
  await makePipe(path);
  await assert.rejects(opening, /it takes too long to open/);
  // There it waits still: it goes on, and closes what nobody wants any more.
  using reader = await Deno.open(`${path}.1`);
  assert.equal(await reader.read(new Uint8Array(1)), null);
});

Deno.test("AppendedFile asked to reopen again and again opens one after the other, and goes on where one fails", async () => {
  const opens: PromiseWithResolvers<OpenFile>[] = [];
  const opening = AppendedFile.open("log", {
    ...{ failed: () => {}, written: () => {} },
    open: () => {
      opens.push(Promise.withResolvers());
      return opens.at(-1)!.promise;
    },
  });
  opens[0].resolve(new FakeFile(100));
  using file = await opening;
  const asked = Promise.all(Array.from({ length: 40 }, () => file.reopen()));
  await waitUntil(() => opens.length === 2, { what: "the file to be opened anew" });
  const askedMeanwhile = file.reopen();
  opens[1].resolve(new FakeFile(100));
  await asked;
  await waitUntil(() => opens.length === 3, { what: "the file to be opened once more" });
  opens[2].reject(new Error("it is gone"));
  await assert.rejects(askedMeanwhile, /^Error: it is gone$/);
  const askedAtLast = file.reopen();
  await waitUntil(() => opens.length === 4, { what: "the file to be opened at last" });
  opens[3].resolve(new FakeFile(100));
  await askedAtLast;
  assert.equal(opens.length, 4);
});

Deno.test("AppendedFile tears no line in two between an old file and a new one", async () => {
  const files = [new FakeFile(14), new FakeFile(100)];
  let opened = 0;
  using file = await AppendedFile.open("log", {
    ...{ failed: () => {}, written: () => {}, retryMs: 1 },
    open: () => Promise.resolve(files[opened++]),
  });
  const written = file.write(new TextEncoder().encode("first line\nsecond line\n"));
  await waitUntil(() => files[0].hasFailed, { what: "the old file to be full" });
  await file.reopen();
  await written;
  // What the old one took of the second line is worth nothing: the new one has it whole.
  assert.deepEqual(files.map(({ text, isClosed }) => [text, isClosed]), [["first line\nsec", true], [
    "second line\n",
    false,
  ]]);
});

Deno.test("AppendedFile goes on behind what a full disk has taken when that has room again", async () => {
  const fake = new FakeFile(14);
  using file = await AppendedFile.open("log", {
    ...{ failed: () => {}, written: () => {}, retryMs: 1 },
    open: () => Promise.resolve(fake),
  });
  const written = file.write(new TextEncoder().encode("first line\nsecond line\n"));
  await waitUntil(() => fake.hasFailed, { what: "the file to be full" });
  fake.room = 100;
  await written;
  assert.equal(fake.text, "first line\nsecond line\n");
});

/** A file on a disk with so many bytes left. */
class FakeFile implements OpenFile {
  text = "";
  isClosed = false;
  hasFailed = false;
  room: number;

  constructor(room: number) {
    this.room = room;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.room === 0) {
      this.hasFailed = true;
      return Promise.reject(new Error("No space left on device"));
    }
    const taken = bytes.subarray(0, this.room);
    this.room -= taken.length;
    this.text += new TextDecoder().decode(taken);
    return Promise.resolve(taken.length);
  }

  close(): void {
    this.isClosed = true;
  }
}

async function emptied(pipe: Deno.FsFile, bytes: number): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (let read = 0; read < bytes;) read += await pipe.read(buffer) ?? 0;
}
