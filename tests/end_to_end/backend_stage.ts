// In: what a hostile backend does. Out: what became of the client, of the backend, and of everybody else.
// Chapter: the stage of backend_hostile_*_test.ts, one fake backend and one real PostgreSQL behind one proxy.

import assert from "node:assert/strict";
import { createAuthority, type IssuedCertificate } from "../support/certificates.ts";
import { type FakeBackend, fakeBackend, type Script } from "../support/hostile_peer.ts";
import { PostgresCluster } from "../support/postgres_cluster.ts";
import type { RawConnection } from "../support/raw_connection.ts";
import { RunningProxy } from "../support/running_proxy.ts";
import {
  backendsToml,
  type ClientWish,
  letIn,
  type Refusal,
  refusalThrough,
  rowOf,
  rowsThrough,
} from "./backend_access.ts";

const WHO = "SELECT current_user";

/** Starts a {@link HostileStage} before a file's tests and ends it after them. */
export function hostileStage(): HostileStage {
  const resources = new AsyncDisposableStack();
  const stage = new HostileStage();
  Deno.test.beforeAll(() => stage.start(resources));
  Deno.test.afterAll(() => resources.disposeAsync());
  return stage;
}

/** A proxy whose backends are all one fake, which does what the test of now wants, and one real PostgreSQL. */
export class HostileStage {
  /** Good for the fake backend's name. */
  certificate!: IssuedCertificate;
  #proxy!: RunningProxy;
  /** Its logins must be quick. */
  #hastyProxy!: RunningProxy;
  /** Somebody else's session through the same proxy, older than all that happens here. */
  #bystander!: RawConnection;
  #backend!: FakeBackend;
  #script!: Script;

  /** Starts everything; `resources` owns it. */
  async start(resources: AsyncDisposableStack): Promise<void> {
    const authority = await createAuthority("hostile backends");
    this.certificate = await authority.issueForLoopback();
    const cluster = resources.use(await PostgresCluster.start({ major: 18, tls: this.certificate }));
    this.#backend = resources.use(await fakeBackend((connection, index) => this.#script(connection, index)));
    const url = (query: string, host = "localhost") =>
      `postgres://app:pencil@${host}:${this.#backend.port}/postgres?${query}`;
    const toml = backendsToml({
      real: `postgres://app_trust@localhost:${cluster.port}/postgres?sslrootcert=ca.crt`,
      plain: url("sslmode=disable"),
      "plain elsewhere": url("sslmode=disable", "127.1"), // an address of this machine that is not known as one
      scram: [url("sslmode=disable"), 'require_auth = "scram-sha-256"'],
      require: url("sslmode=require"),
      "verify-ca": url("sslmode=verify-ca&sslrootcert=ca.crt"),
      "verify-full": url("sslmode=verify-full&sslrootcert=ca.crt"),
      direct: url("sslmode=require&sslnegotiation=direct"),
    });
    const hasty = 'login_timeout = "300ms"';
    this.#proxy = resources.use(await RunningProxy.start({ toml }, authority));
    this.#hastyProxy = resources.use(await RunningProxy.start({ toml, listen: hasty }, authority));
    this.#bystander = resources.use(await letIn(this.#proxy, "real"));
  }

  /** Registers an attack: whatever comes of it, everybody else's session goes on, and new ones are let in. */
  attack(name: string, replay: () => Promise<void>): void {
    Deno.test(name, async () => {
      await replay();
      await this.othersGoOn();
      assert.deepEqual(await rowsThrough(this.#proxy, "real", WHO), [{ current_user: "app_trust" }]);
    });
  }

  /** Holds that the session that was there before is still served. */
  async othersGoOn(): Promise<void> {
    assert.deepEqual(await rowOf(this.#bystander, WHO), ["app_trust"]);
  }

  /** A client let in by the hostile backend, which plays `script`. */
  async letIn(script: Script, wish?: ClientWish) {
    this.#script = script;
    return await letIn(this.#proxy, "plain", wish);
  }

  /** A client refused while the hostile backend plays `play`, and all that the backend has heard after that. */
  async refusedBy(
    backend: string,
    play: (connection: RawConnection) => Promise<void>,
    { isHasty = false } = {},
  ): Promise<Refusal & { readonly heard: Uint8Array }> {
    const heard = Promise.withResolvers<Uint8Array>();
    heard.promise.catch(() => {}); // if there is no refusal, that is what is wrong
    this.#script = async (connection) => {
      try {
        await play(connection);
        heard.resolve(await connection.receiveToEnd());
      } catch (thrown) {
        heard.reject(thrown);
      }
    };
    const before = this.#backend.connectionCount();
    const refusal = await refusalThrough(isHasty ? this.#hastyProxy : this.#proxy, backend);
    assert.equal(this.#backend.connectionCount(), before + 1, "it is dialled once");
    return { ...refusal, heard: await heard.promise };
  }
}
