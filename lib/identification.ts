import { setTimeout as delay } from "node:timers/promises";
import { type Admission, admit } from "./admission.ts";
import { authenticationMethods, type Verdict } from "./authenticate/methods.ts";
import { mayDiscover, presentedNoToken } from "./authenticate/oauthbearer.ts";
import type { WayIn } from "./authenticate/schema.ts";
import { chooseWayIn } from "./authenticate/way_in.ts";
import { answer, question } from "./dialogue.ts";
import { PgError } from "./errors.ts";
import type { Suspect } from "./limits/failed_logins.ts";
import type { LoginRecord } from "./login_record.ts";
import type { Secret } from "./secret.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import { SQLSTATE } from "./sqlstate.ts";
import type { SessionRequest } from "./startup/session_request.ts";
import type { Channel } from "./stream/channel.ts";

/** What a client is asked who it is by. */
export interface IdentificationOptions {
  readonly request: SessionRequest;
  readonly settings: SessionSettings;
  readonly house: SessionHouse;
  readonly record: LoginRecord;
  /** The address it came in by, as `listen.address` has it. */
  readonly listener: string;
  /** Aborts when the login must end. */
  readonly signal: AbortSignal;
}

const judgeToken = question<Secret, Verdict<Admission>>("judge token");

/** How one client says who it is: it is asked for its token, and the token is judged. */
export class Identification {
  readonly #client: Channel;
  readonly #about: IdentificationOptions;
  /** Whose failed logins are counted together. */
  readonly #suspect: Suspect;

  constructor(client: Channel, about: IdentificationOptions) {
    this.#client = client;
    this.#about = about;
    this.#suspect = { address: client.stream.peer.address, user: about.request.user };
  }

  /**
   * Asks for the token, by the way in that is meant for this client.
   *
   * @throws {PgError} 28P01 when there is no good one, 28000 when it could only be presented outside TLS
   * @throws {PgError} 53300 when too many logins like it have failed
   */
  async ask(): Promise<Admission> {
    const { request: { user }, house, record } = this.#about;
    const way = this.#wayIn();
    record.goesBy(way.method);
    if (way.method === "oauthbearer" && this.#client.stream.tls === null) throw tlsRequired();
    await house.failedLogins.check(this.#suspect);
    const method = authenticationMethods[way.method](judgeToken, { user, challenge: way.challenge });
    const admission = await this.#client.converse(method, [
      answer(judgeToken, (token) => this.#judge(token, way)),
      answer(presentedNoToken, () => this.#countFailure()),
      answer(mayDiscover, () => house.discoveries.take(this.#suspect.address)),
    ]);
    record.tokenAccepted(admission);
    return admission;
  }

  #wayIn(): WayIn {
    const { request: { user, database }, settings, listener } = this.#about;
    const clientAddress = this.#suspect.address;
    const serverName = this.#client.stream.tls?.serverName ?? null;
    return chooseWayIn(settings.waysIn, { listener, serverName, clientAddress, user, database });
  }

  async #judge(token: Secret, way: WayIn): Promise<Verdict<Admission>> {
    const { house, record } = this.#about;
    const verdict = await record.stages.time("token", () => this.#admit(token, way));
    record.isJudged(verdict);
    if (verdict.kind === "accepted") house.failedLogins.succeeded(this.#suspect);
    // An issuer that is down is nobody's guess.
    else if (verdict.blame === "frontend") await this.#countFailure();
    return verdict;
  }

  async #admit(token: Secret, { issuer }: WayIn): Promise<Verdict<Admission>> {
    const { request, settings, house, signal } = this.#about;
    const { user, database } = request;
    const clientAddress = this.#suspect.address;
    const { tls } = this.#client.stream;
    const presented = {
      issuer,
      clientCertificate: tls?.peerCertificate,
      asked: { user, database, clientAddress, serverName: tls?.serverName ?? undefined },
      signal,
    };
    // Once more: others like it may have failed while this one was asked for its token.
    await house.failedLogins.check(this.#suspect);
    const { pace } = house;
    const nowMs = house.wallClock();
    return await admit(token, { request, presented, settings, clientAddress, nowMs, pace });
  }

  /** Counts a failed login, and holds its answer back; what ends the login ends this too. */
  async #countFailure(): Promise<void> {
    using heldBack = await this.#about.house.failedLogins.failed(this.#suspect);
    if (heldBack.ms > 0) await delay(heldBack.ms, undefined, { signal: this.#about.signal });
  }
}

function tlsRequired(): PgError {
  return new PgError(SQLSTATE.invalidAuthorizationSpecification, "OAuth bearer authentication requires TLS", {
    hint: "Connect with sslmode=verify-full, or at least sslmode=require.",
  });
}
