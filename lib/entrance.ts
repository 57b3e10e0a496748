import { type Admission, backendLoginOf, connectedAs, type Stay, stayOf } from "./admission.ts";
import { type BackendAccess, openBackend, type OpenedBackend } from "./backend_link.ts";
import type { Chronicle } from "./chronicle.ts";
import { asPgError, PgError } from "./errors.ts";
import { Identification } from "./identification.ts";
import type { LimitHit } from "./limits/limit_hits.ts";
import type { Place, Stranger } from "./limits/unauthenticated.ts";
import { LoginRecord } from "./login_record.ts";
import { LoginTrace } from "./login_trace.ts";
import { Reception } from "./reception.ts";
import type { CancelKey } from "./relay/cancel_keys.ts";
import type { Relay } from "./relay/relay.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import { SQLSTATE } from "./sqlstate.ts";
import { readSessionRequest, type SessionRequest } from "./startup/session_request.ts";
import type { ByteStream } from "./stream/byte_stream.ts";
import { Channel } from "./stream/channel.ts";
import { ConnStream } from "./stream/conn_stream.ts";
import { sayFarewell } from "./stream/farewell.ts";
import { relayBetween, welcome } from "./welcome.ts";
import { encodeError } from "./wire/error_response.ts";
import type { CancelRequest, ProtocolVersion } from "./wire/startup_packet.ts";

/** A client that is in: its relay, and what ends with its session. */
export interface LetIn {
  readonly relay: Relay;
  readonly stay: Stay;
  /** Its place among the connections. */
  readonly place: Disposable;
  readonly key: CancelKey;
}

/** Whose entrance it is, and what it goes by. */
export interface EntranceOptions {
  readonly settings: SessionSettings;
  readonly house: SessionHouse;
  readonly chronicle: Chronicle;
  /** The address it came in by, as `listen.address` has it. */
  readonly listener: string;
}

/** Nobody is told. */
const DROPPED = new Error("dropped to make room for others");

/**
 * The login of one connection, from its first byte to 'you are in'.
 *
 * It leaves much behind that the session after it does not need, and is dropped when it is over.
 */
export class Entrance implements Stranger {
  readonly #settings: SessionSettings;
  readonly #house: SessionHouse;
  readonly #chronicle: Chronicle;
  readonly #listener: string;
  readonly #client: Channel;
  /** Aborts when the login must end: its time is up, or the proxy leaves. */
  readonly #end = new AbortController();
  readonly #record: LoginRecord;
  readonly #trace: LoginTrace;
  /** Until its token has been found good. */
  readonly #place: Place;
  /** Why it has to make room for others. */
  #dismissal: (() => PgError) | null = null;
  #isDropped = false;
  /** Where our last words go. */
  #refused: ByteStream | null = null;

  constructor(stream: ByteStream, { settings, house, chronicle, listener }: EntranceOptions) {
    this.#settings = settings;
    this.#house = house;
    this.#chronicle = chronicle;
    this.#record = new LoginRecord(chronicle, house.now);
    this.#listener = listener;
    this.#trace = new LoginTrace(chronicle, house);
    this.#client = new Channel(stream, this.#end.signal, this.#trace.of("client", ["B", "F"]));
    this.#place = house.unauthenticated.enter(this);
  }

  /** Goes through it; `null` where nobody wanted in, or is let in: then the client has been told. Never rejects. */
  async pass(): Promise<LetIn | null> {
    using _place = this.#place;
    using _client = this.#client;
    const deadline = setTimeout(() => this.#end.abort(loginTimedOut()), this.#settings.loginTimeoutMs);
    try {
      return await this.#login();
    } catch (error) {
      await this.#refuse(asPgError(error));
      return null;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Ends the login from our side, with the reason for the client. */
  end(error: PgError): void {
    this.#end.abort(error);
  }

  /** As {@link Stranger}. Who has not asked for anything would not show an error: before TLS anyone could have said it. */
  dismiss(why: () => PgError): void {
    if (this.#record.hasAsked) this.#end.abort(why());
    else this.#dismissal = why;
  }

  /** As {@link Stranger}. */
  drop(hit?: LimitHit): void {
    this.#isDropped = true;
    this.#end.abort(DROPPED);
    this.#refused?.destroy();
    if (hit !== undefined) this.#chronicle.note({ kind: "limit_hit", ...hit });
  }

  async #login(): Promise<LetIn | null> {
    const reception = this.#reception();
    await reception.meet();
    const opening = await reception.open();
    switch (opening.kind) {
      case "silence":
        return null;
      case "cancel":
        await this.#cancel(opening.request);
        return null;
      case "session": {
        const request = readSessionRequest(opening.parameters, this.#settings.parameters);
        this.#record.asks(request);
        if (this.#dismissal !== null) throw this.#dismissal();
        const admission = await this.#identify(request);
        this.#place[Symbol.dispose]();
        const access = this.#settings.backends.get(admission.decision.backend)!;
        const clientAddress = this.#client.stream.peer.address;
        const connected = connectedAs(admission, { access, clientAddress });
        using resources = new DisposableStack();
        const place = resources.use(await this.#house.connections.enter(connected));
        const backend = await this.#record.stages.time(
          "backend",
          () => this.#logIn(admission, { request, access, ...opening }),
        );
        resources.use(backend.stream);
        const letIn = await this.#letIn(backend, { admission, request, access, place, ...opening });
        // From here on they are the session's.
        resources.move();
        return letIn;
      }
    }
  }

  #reception(): Reception {
    return new Reception(this.#client, {
      settings: this.#settings,
      house: this.#house,
      chronicle: this.#chronicle,
      stages: this.#record.stages,
      place: this.#place,
      signal: this.#end.signal,
    });
  }

  #identify(request: SessionRequest): Promise<Admission> {
    return new Identification(this.#client, {
      request,
      settings: this.#settings,
      house: this.#house,
      record: this.#record,
      listener: this.#listener,
      signal: this.#end.signal,
    }).ask();
  }

  #logIn(
    admission: Admission,
    about: {
      readonly request: SessionRequest;
      readonly protocolVersion: ProtocolVersion;
      readonly access: BackendAccess;
    },
  ): Promise<OpenedBackend> {
    const { access } = about;
    const { stream } = this.#client;
    const connection = {
      client: stream.peer,
      // Most backends are not told of it, and a socket that was asked remembers it as long as it lives.
      get server() {
        return stream.local;
      },
    };
    const login = backendLoginOf(admission, { ...about, connection });
    this.#trace.blot(login.token);
    return openBackend(login, {
      signal: this.#end.signal,
      trace: this.#trace.of("backend", ["F", "B"]),
      isBesideConn: this.#client.stream instanceof ConnStream,
      tried: (host, isReached) =>
        this.#chronicle.note({ kind: "backend_tried", backend: access.name, host, isReached }),
    });
  }

  async #letIn(
    backend: OpenedBackend,
    { admission, request, access, place, protocolVersion }: {
      readonly admission: Admission;
      readonly request: SessionRequest;
      readonly access: BackendAccess;
      readonly place: Disposable;
      readonly protocolVersion: ProtocolVersion;
    },
  ): Promise<LetIn> {
    const relay = relayBetween(this.#client, backend, { chronicle: this.#chronicle });
    const clientAddress = this.#client.stream.peer.address;
    using unused = new DisposableStack();
    const key = unused.use(this.#house.cancelKeys.issue(relay, clientAddress, protocolVersion));
    await welcome(this.#client, backend, { key });
    this.#end.signal.throwIfAborted();
    this.#record.authenticated(admission);
    unused.move();
    const stay = stayOf(admission, { request, access, clientAddress });
    this.#client.detach();
    return { relay, stay, place, key };
  }

  /** A CancelRequest has no answer, whatever comes of it. */
  async #cancel({ processId, secretKey }: CancelRequest): Promise<void> {
    const clientAddress = this.#client.stream.peer.address;
    const session = await this.#house.cancelKeys.find({ processId, secretKey, clientAddress });
    this.#chronicle.note({ kind: "cancel_requested", isKnown: session !== undefined });
    await session?.cancelQuery();
  }

  async #refuse(error: PgError): Promise<void> {
    if (this.#isDropped) return;
    this.#record.refused(error);
    if (!this.#client.isConnected) return;
    this.#refused = this.#client.detach();
    this.#place.leaves();
    await sayFarewell(this.#refused, encodeError(error));
  }
}

function loginTimedOut(): PgError {
  const fault = "login_timeout";
  return new PgError(SQLSTATE.queryCanceled, "canceling authentication due to timeout", { fault });
}
