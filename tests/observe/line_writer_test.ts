import assert from "node:assert/strict";
import { type LineSink, LineWriter } from "../../lib/observe/line_writer.ts";

/** A sink that takes `atOnce` bytes a write, and nothing while it is stalled. */
class Sink implements LineSink {
  text = "";
  stalled = Promise.resolve();
  readonly #atOnce: number;

  constructor(atOnce = 1000) {
    this.#atOnce = atOnce;
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.stalled;
    const taken = bytes.subarray(0, this.#atOnce);
    this.text += new TextDecoder().decode(taken);
    return taken.length;
  }
}

Deno.test("LineWriter writes lines in order, however few bytes are taken at once", async () => {
  const sink = new Sink(3);
  {
    await using writer = new LineWriter(sink);
    for (const line of ["one\n", "two\n", "three\n"]) writer.write(line);
  }
  assert.equal(sink.text, "one\ntwo\nthree\n");
});

Deno.test("LineWriter drops what does not fit while nobody reads, and tells how much when somebody does", async () => {
  const sink = new Sink();
  const { promise, resolve } = Promise.withResolvers<void>();
  sink.stalled = promise;
  {
    await using writer = new LineWriter(sink, { maxWaitingLength: 10 });
    for (const line of ["first\n", "2nd\n", "third\n", "fourth\n"]) writer.write(line);
    resolve();
  }
  assert.equal(sink.text, "first\n2nd\n2 log lines were dropped: they were not read in time\n");
});

Deno.test("LineWriter goes on when a write fails", async () => {
  const sink = new Sink();
  const failing: LineSink = { write: () => Promise.reject(new Error("broken pipe")) };
  await using broken = new LineWriter(failing);
  broken.write("lost\n");
  await using writer = new LineWriter(sink);
  writer.write("kept\n");
});

Deno.test("LineWriter does not wait for ever for a sink that takes nothing", async () => {
  const stalled: LineSink = { write: () => new Promise(() => {}) };
  const started = performance.now();
  {
    await using writer = new LineWriter(stalled);
    writer.write("never\n");
  }
  assert(performance.now() - started < 5_000);
});
