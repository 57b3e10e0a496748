import assert from "node:assert/strict";
import { ReloadTriggers } from "../../lib/commands/reload_triggers.ts";
import type { FileFacts } from "../../lib/commands/watched_files.ts";
import type { Configuration } from "../../lib/config/configuration.ts";
import { ManualClock } from "../support/manual_clock.ts";

const HOUR_MS = 3_600_000;
/** Time from one look at the files to the next. */
const LOOK_MS = 2_000;

interface Following {
  readonly refresh?: number;
  readonly watch?: boolean;
  readonly denyList?: string;
}

/** Triggers of a configuration whose files are the test's. */
class Scene implements Disposable {
  readonly clock = new ManualClock();
  /** When each file was written, in milliseconds since 1970; one that is not here does not exist. */
  readonly written = new Map<string, number>();
  reloads = 0;
  readonly triggers = new ReloadTriggers(() => void this.reloads++, {
    after: this.clock.after,
    stat: (path) => {
      const writtenMs = this.written.get(path);
      return writtenMs === undefined
        ? Promise.reject(new Error("no such file"))
        : Promise.resolve(facts(writtenMs));
    },
  });

  constructor(...paths: string[]) {
    for (const path of paths) this.written.set(path, this.clock.now() - HOUR_MS);
  }

  follow({ refresh = 0, watch = false, denyList }: Following): void {
    const files = [...this.written.keys()];
    const service = { refresh, watch, grace_period: 0, drain_delay: 0 };
    const issuers = [{ deny_list: denyList }];
    const configuration = { service, files, issuers, directory: "/etc/proxy" };
    this.triggers.follow(configuration as unknown as Configuration, this.clock.now());
  }

  write(path: string): void {
    this.written.set(path, this.clock.now());
  }

  /** Lets so many looks at the files pass. */
  async look(times: number): Promise<void> {
    for (let n = 0; n < times; n++) {
      this.clock.advance(LOOK_MS);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  [Symbol.dispose](): void {
    this.triggers[Symbol.dispose]();
    assert.equal(this.clock.timerCount, 0);
  }
}

function facts(writtenMs: number): FileFacts {
  return { mtime: new Date(writtenMs), ctime: new Date(writtenMs), size: 1, ino: 1, dev: 1 };
}

Deno.test("refresh asks again and again, whatever becomes of it", () => {
  using scene = new Scene();
  scene.follow({ refresh: HOUR_MS });
  scene.clock.advance(HOUR_MS - 1);
  assert.equal(scene.reloads, 0);
  scene.clock.advance(1);
  assert.equal(scene.reloads, 1);
  scene.clock.advance(3 * HOUR_MS);
  assert.equal(scene.reloads, 4);
});

Deno.test("refresh counts from the last configuration that was taken", () => {
  using scene = new Scene();
  scene.follow({ refresh: HOUR_MS });
  scene.clock.advance(HOUR_MS / 2);
  scene.follow({ refresh: HOUR_MS });
  scene.clock.advance(HOUR_MS / 2);
  assert.equal(scene.reloads, 0);
  scene.clock.advance(HOUR_MS / 2);
  assert.equal(scene.reloads, 1);
});

Deno.test("A10 refresh = 0 asks never, and sets no timer", () => {
  using scene = new Scene();
  scene.follow({ refresh: 0 });
  assert.equal(scene.clock.timerCount, 0);
  scene.clock.advance(1_000 * HOUR_MS);
  assert.equal(scene.reloads, 0);
});

Deno.test("files that nobody asked to watch are not looked at", async () => {
  using scene = new Scene("/etc/proxy/config.toml");
  scene.follow({});
  scene.write("/etc/proxy/config.toml");
  await scene.look(5);
  assert.equal(scene.reloads, 0);
});

Deno.test("a changed file asks once it is the same for one look more, and once for each change", async () => {
  using scene = new Scene("/etc/proxy/config.toml", "/etc/proxy/server.crt");
  scene.follow({ watch: true });
  await scene.look(3);
  assert.equal(scene.reloads, 0);
  scene.write("/etc/proxy/server.crt");
  await scene.look(1);
  assert.equal(scene.reloads, 0);
  scene.write("/etc/proxy/config.toml");
  await scene.look(1);
  assert.equal(scene.reloads, 0);
  await scene.look(1);
  assert.equal(scene.reloads, 1);
  // A reload that failed is not tried again until something is different.
  await scene.look(10);
  assert.equal(scene.reloads, 1);
  scene.write("/etc/proxy/config.toml");
  await scene.look(2);
  assert.equal(scene.reloads, 2);
});

Deno.test("a change that is taken back before it stays asks for nothing", async () => {
  using scene = new Scene("/etc/proxy/config.toml");
  scene.follow({ watch: true });
  await scene.look(1);
  const before = scene.written.get("/etc/proxy/config.toml")!;
  scene.write("/etc/proxy/config.toml");
  await scene.look(1);
  scene.written.set("/etc/proxy/config.toml", before);
  await scene.look(3);
  assert.equal(scene.reloads, 0);
});

Deno.test("a file that has gone, or comes, is a change", async () => {
  using scene = new Scene("/etc/proxy/config.toml");
  scene.follow({ watch: true });
  await scene.look(1);
  scene.written.clear();
  await scene.look(2);
  assert.equal(scene.reloads, 1);
  scene.write("/etc/proxy/config.toml");
  await scene.look(2);
  assert.equal(scene.reloads, 2);
});

Deno.test.each<[string, number]>([["while", 500], ["just before", -500]])(
  "a file that was written %s it was read is read again",
  async (_when, ms) => {
    using scene = new Scene("/etc/proxy/config.toml");
    scene.follow({ watch: true });
    scene.written.set("/etc/proxy/config.toml", scene.clock.now() + ms);
    await scene.look(2);
    assert.equal(scene.reloads, 1);
    await scene.look(3);
    assert.equal(scene.reloads, 1);
  },
);

Deno.test("a deny list is not among the watched files: it is read by itself", async () => {
  using scene = new Scene("/etc/proxy/config.toml", "/etc/proxy/denied.txt");
  scene.follow({ watch: true, denyList: "denied.txt" });
  await scene.look(1);
  scene.write("/etc/proxy/denied.txt");
  await scene.look(3);
  assert.equal(scene.reloads, 0);
});
