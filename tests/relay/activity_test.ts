import assert from "node:assert/strict";
import { Activity } from "../../lib/relay/activity.ts";

// A script of headers: F:<letters> go to the backend, B:<letters> come from it; Z is written with its status, as ZI.
Deno.test.each<[string, string, "idle" | "quiet" | "busy"]>([
  ["at the beginning", "", "idle"],
  ["a simple query asked", "F:Q", "busy"],
  ["a simple query answered", "F:Q B:TDC ZI", "idle"],
  ["A19 two queries sent, one answered", "F:QQ B:C ZI", "busy"],
  ["two queries sent and answered", "F:QQ B:C ZI B:C ZI", "idle"],
  ["in a transaction block", "F:Q B:C ZT", "quiet"],
  ["in a failed transaction block", "F:Q B:E ZE", "quiet"],
  ["extended query before its Sync", "F:PBDE", "busy"],
  ["extended query with Flush, answered, before its Sync", "F:PBDEH B:12DC", "busy"],
  ["extended query after its Sync", "F:PBDES", "busy"],
  ["extended query answered", "F:PBDES B:12DC ZI", "idle"],
  ["a pipeline of three Syncs, two answered", "F:PBES PBES PBES B:12C ZI B:12C ZI", "busy"],
  ["a pipeline of three Syncs, all answered", "F:PBES PBES PBES B:12C ZI B:12C ZI B:12C ZI", "idle"],
  ["Parse on its way while the query before it is answered", "F:Q P B:C ZI", "busy"],
  ["FunctionCall asked", "F:F", "busy"],
  ["FunctionCall answered", "F:F B:V ZI", "idle"],
  ["COPY in, data on its way", "F:Q B:G F:dd", "busy"],
  ["COPY in, done", "F:Q B:G F:dc B:C ZI", "idle"],
  ["COPY in, failed by the client", "F:Q B:G F:f B:E ZI", "idle"],
  ["COPY in by extended query: the Sync sent ahead is ignored by the backend", "F:PBES B:12G", "busy"],
  ["COPY in by extended query, done and synced", "F:PBES B:12G F:dcS B:C ZI", "idle"],
  ["COPY in by extended query, done and not yet synced", "F:PBES B:12G F:dc B:C", "busy"],
  ["COPY in by extended query, failed at the backend", "F:PBES B:12G F:d B:E F:cS B:ZI", "idle"],
  ["COPY in by simple query, done, with a Sync sent ahead", "F:QS B:G F:dc B:C ZI", "idle"],
  ["COPY in by simple query, its data sent ahead", "F:Qdc B:G", "busy"],
  ["COPY in by simple query, its data sent ahead, answered", "F:Qdc B:GC ZI", "idle"],
  ["COPY in by extended query, its data sent ahead", "F:PBEdcS B:12G", "busy"],
  ["COPY in by extended query, its data sent ahead, answered", "F:PBEdcS B:12GC ZI", "idle"],
  ["COPY in by extended query, its data sent ahead and not yet synced", "F:PBESdc B:12GC", "busy"],
  ["two COPYs in by extended query, their data sent ahead, one answered", "F:EdcSEdcS B:GC ZI", "busy"],
  ["two COPYs in by extended query, their data sent ahead, answered", "F:EdcSEdcS B:GC ZI GC ZI", "idle"],
  ["two COPYs in of one query, their data sent ahead", "F:QdcdcQ B:GCGC ZI", "busy"],
  ["two COPYs in of one query, their data sent ahead, answered", "F:QdcdcQ B:GCGC ZI C ZI", "idle"],
  ["COPY in that fails, its data sent ahead", "F:Qdc B:E ZI", "idle"],
  ["COPY in that fails, its data sent ahead of another query", "F:QdcQ B:E ZI", "busy"],
  ["COPY in by extended query that fails, its data sent ahead", "F:PBEdcS B:12E ZI", "idle"],
  ["COPY in by extended query, with a Sync in it", "F:PBES B:12G F:dSdc B:C", "busy"],
  ["CopyDone outside COPY", "F:c", "idle"],
  ["CopyDone outside COPY, in front of a query", "F:Qc B:C ZI F:Q B:G F:d", "busy"],
  ["Parse that a query settles in place of a Sync", "F:PQ B:1C ZI", "idle"],
  ["COPY out", "F:Q B:Hd", "busy"],
  ["COPY out, done", "F:Q B:HddcC ZI", "idle"],
  ["a notification while idle", "B:A", "idle"],
  ["an answer nobody asked for", "B:ZI", "idle"],
])("Activity %s (%s) is %s", (_name, script, expected) => {
  const activity = run(script);
  const is = activity.isIdle ? "idle" : activity.isQuiet ? "quiet" : "busy";
  assert.equal(is, expected);
});

Deno.test.each<[string, string]>([
  ["", "idle"],
  ["F:Q", "active"],
  ["F:Q B:C ZI", "idle"],
  ["F:Q B:C ZT", "idle in transaction"],
  ["F:Q B:C ZT F:Q", "active"],
  ["F:Q B:C ZT F:Q B:E ZE", "idle in transaction (aborted)"],
])("Activity after %j is in the state %s", (script, state) => {
  assert.equal(run(script).state, state);
});

Deno.test.each<[string, string, number]>([
  ["nothing", "", 0],
  ["two statements", "F:Q B:C ZI F:Q B:C ZI", 2],
  ["a block of three statements", "F:Q B:C ZT F:Q B:C ZT F:Q B:C ZI", 1],
  ["a block that failed and was rolled back", "F:Q B:C ZT F:Q B:E ZE F:Q B:C ZI", 1],
  ["a block that is not over", "F:Q B:C ZT", 0],
  ["a pipeline of three Syncs", "F:PBES PBES PBES B:12C ZI B:12C ZI B:12C ZI", 3],
])("Activity counts the transactions of %s (%s)", (_name, script, count) => {
  assert.equal(run(script).transactions, count);
});

Deno.test.each<[string, string, boolean]>([
  ["nothing is asked", "", false],
  ["a query runs", "F:Q", false],
  ["a query runs in a transaction", "F:Q B:ZT F:Q", false],
  ["a transaction is open", "F:Q B:ZT", true],
  ["a transaction has failed", "F:Q B:E ZE", true],
  ["Parse waits for a Sync", "F:P", true],
  ["Parse waits for a Sync behind a query that runs", "F:QP", true],
  ["a Sync waits for its answer", "F:PS", false],
  ["data is copied in", "F:Q B:G F:d", true],
  ["COPY in is to end", "F:Q B:G F:dc", false],
  ["COPY in by extended query is to end", "F:ES B:G F:dc", true],
  ["COPY in by extended query is to end, with its data sent ahead", "F:EdcS B:G", false],
  ["data is copied out", "F:Q B:Hd", false],
  ["the client has said Terminate", "F:QX", true],
  ["a COPY nobody asked for was ended before it began", "B:G F:cc B:ZI F:cPd B:G F:Q", false],
])("needsClient when %s (%s) is %s", (_name, script, expected) => {
  assert.equal(run(script).needsClient, expected);
});

Deno.test("Activity notes Terminate", () => {
  assert.equal(run("F:Q B:C ZI").isTerminated, false);
  assert.equal(run("F:X").isTerminated, true);
});

Deno.test.each<[string, string, string, boolean]>([
  ["the query asked is running", "F:Q", "", false],
  ["the query asked is over", "F:Q", "B:C ZI", true],
  ["the query asked is over and the next one runs", "F:Q", "B:C ZI F:Q", true],
  ["the first of two asked is over", "F:QQ", "B:C ZI", false],
  ["nothing was asked", "", "F:Q", true],
  ["what was asked still waits for its Sync", "F:PBEH", "B:12C F:S", false],
  ["what was asked has been synced", "F:PBEH", "B:12C F:S B:ZI", true],
  ["a COPY by extended query goes on", "F:PBES B:12G", "F:d", false],
  ["a COPY by extended query is over", "F:PBES B:12G", "F:dcS B:C ZI", true],
])("isPast() when %s (%s, then %s) is %s", (_name, before, after, expected) => {
  const activity = run(before);
  const mark = activity.mark();
  run(after, activity);
  assert.equal(activity.isPast(mark), expected);
});

Deno.test.each<[string, string]>([
  ["COPY and its end, answered", "GCZ"],
  ["COPY and its end, never answered", "G"],
])("S5 100 000 of %s cost as much each as one does", (_name, answers) => {
  const activity = new Activity();
  const count = 100_000;
  for (let sent = 0; sent < count; sent++) run("F:Qc", activity);
  const begun = performance.now();
  for (let answered = 0; answered < count; answered++) {
    for (const letter of answers) activity.backendMessage(letter.charCodeAt(0), "I".charCodeAt(0));
  }
  const ms = performance.now() - begun;
  assert.ok(ms < 3_000, `it took ${Math.round(ms)} ms`);
  assert.equal(activity.isIdle, answers === "GCZ");
});

Deno.test("B7 a backend that never answers does not have what is asked of it fill the memory", () => {
  const activity = new Activity();
  const ask = (times: number) => {
    for (let time = 0; time < times; time++) run("F:FS", activity);
  };
  ask(1_000_000);
  assert.equal(activity.isQuiet, false);
  assert.throws(() => ask(4_000_000), {
    sqlstate: "08P01",
    message: "too many requests wait for their answers",
  });
});

function run(script: string, activity = new Activity()): Activity {
  let fromFrontend = true;
  for (const word of script.split(" ").filter((word) => word !== "")) {
    const [direction, letters] = word.includes(":") ? word.split(":") : [null, word];
    if (direction !== null) fromFrontend = direction === "F";
    if (letters.startsWith("Z")) {
      activity.backendMessage(0x5a, letters.charCodeAt(1));
      continue;
    }
    for (const letter of letters) {
      if (letter === "Z") continue;
      if (fromFrontend) activity.frontendMessage(letter.charCodeAt(0));
      else activity.backendMessage(letter.charCodeAt(0), -1);
    }
  }
  return activity;
}
