import { type Admission, admit, backendLoginOf } from "./admission.ts";
import { formatAddress } from "./address.ts";
import { authenticationMethods } from "./authenticate/methods.ts";
import { openBackend, type OpenedBackend } from "./backend_link.ts";
import { answer, question } from "./dialogue.ts";
import { asPgError, PgError } from "./errors.ts";
import type { AskedFor, Observer } from "./observe/events.ts";
import { Relay } from "./relay/relay.ts";
import type { Secret } from "./secret.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import { SQLSTATE } from "./sqlstate.ts";
import { acceptTls, openConversation, type Opening } from "./startup/opening.ts";
import { readSessionRequest, type SessionRequest } from "./startup/session_request.ts";
import { acceptTlsOver } from "./stream/accept_tls.ts";
import { ConnStream } from "./stream/conn_stream.ts";
import { Channel, type ChannelTrace } from "./stream/channel.ts";
import { sayFarewell } from "./stream/farewell.ts";
import type { ByteStream, PeerAddress } from "./stream/byte_stream.ts";
import { authentication } from "./wire/authentication.ts";
import { backendKeyData, readyForQuery } from "./wire/backend.ts";
import { encodeError } from "./wire/error_response.ts";
import { encodeMessage } from "./wire/message.ts";
import { type Direction, traceFrame } from "./wire/trace.ts";
import type { CancelRequest, ProtocolVersion } from "./wire/startup_packet.ts";

/** A session whose login is over. */
interface Carried {
  readonly relay: Relay;
  /** The backend's stream and the cancel key: they end with the session. */
  readonly resources: DisposableStack;
}

const judgeToken = question<Secret, Admission>("judge token");

/**
 * One connection's life: it opens, says who it is, is let in somewhere, and is carried until either end leaves.
 *
 * Whatever goes wrong ends this connection alone, with one ErrorResponse.
 */
export class Session {
  readonly #settings: SessionSettings;
  readonly #house: SessionHouse;
  readonly #connection: { readonly id: number; readonly clientAddress: string };
  readonly #client: Channel;
  readonly #clientPeer: PeerAddress;
  readonly #startedMs: number;
  /** Aborts when the login must end: its time is up, or the proxy leaves. */
  readonly #login = new AbortController();
  #asked: AskedFor = {};
  #relay: Relay | null = null;

  constructor(stream: ByteStream, options: { id: number; settings: SessionSettings; house: SessionHouse }) {
    const { address, port } = stream.peer;
    this.#settings = options.settings;
    this.#house = options.house;
    this.#clientPeer = stream.peer;
    this.#connection = {
      id: options.id,
      clientAddress: formatAddress(address, port),
    };
    this.#startedMs = options.house.now();
    this.#client = new Channel(stream, this.#login.signal, this.#trace("client", ["B", "F"]));
  }

  /** Lives this connection's life. Never rejects. */
  async run(): Promise<void> {
    using _client = this.#client;
    try {
      // A login leaves much behind that a session does not need: it ends with its function.
      const carried = await this.#begin();
      if (carried !== null) await this.#carry(carried);
    } catch (error) {
      await this.#refuse(asPgError(error));
    }
  }

  /** Ends this connection from our side, with the reason for its client. */
  end(error: PgError): void {
    this.#login.abort(error);
    this.#relay?.end(error);
  }

  /** From the first byte to 'you are in'; `null` where nobody wanted in. */
  async #begin(): Promise<Carried | null> {
    const deadline = setTimeout(() => this.#login.abort(loginTimedOut()), this.#settings.loginTimeoutMs);
    try {
      this.#observe({ kind: "connection_opened" });
      const opening = await this.#open();
      switch (opening.kind) {
        case "silence":
          return null;
        case "cancel":
          await this.#cancel(opening.request);
          return null;
        case "session": {
          const request = readSessionRequest(opening.parameters, this.#settings.parameters);
          this.#asked = askedFor(request);
          const admission = await this.#authenticate(request);
          const backend = await this.#logIn(admission, { request, ...opening });
          return await this.#letIn(backend, { admission, ...opening });
        }
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  #open(): Promise<Opening> {
    const { certificate, allowsPlaintext } = this.#settings;
    const upgrade = answer(acceptTls, async ({ isDirect }) => {
      const begun = isDirect ? this.#client.takeBuffered() : undefined;
      const options = { certificate: certificate!, begun, signal: this.#login.signal };
      this.#client.attach(await acceptTlsOver(this.#client.detach(), options));
      this.#observe({ kind: "tls_established", isDirect });
    });
    return this.#client.converse(openConversation({ offersTls: certificate !== null, allowsPlaintext }), [
      upgrade,
    ]);
  }

  async #authenticate(request: SessionRequest): Promise<Admission> {
    const judge = answer(judgeToken, (token) => admit(token, { request, settings: this.#settings }));
    const admission = await this.#client.converse(authenticationMethods.password(judgeToken), [judge]);
    const { issuer } = admission.token;
    this.#observe({ kind: "token_accepted", method: "password", issuer, asked: this.#asked });
    return admission;
  }

  #logIn(
    admission: Admission,
    about: { readonly request: SessionRequest; readonly protocolVersion: ProtocolVersion },
  ): Promise<OpenedBackend> {
    const access = this.#settings.backends.get(admission.decision.backend)!;
    const login = backendLoginOf(admission, { ...about, access, client: this.#clientPeer });
    return openBackend(login, {
      signal: this.#login.signal,
      trace: this.#trace("backend", ["F", "B"]),
      isBesideConn: this.#client.stream instanceof ConnStream,
    });
  }

  /** Tells the client all that the backend has said, as if it had said it to the client; only the cancel key is ours. */
  async #letIn(
    { stream, buffered, reached, canceller }: OpenedBackend,
    { admission, protocolVersion }: {
      readonly admission: Admission;
      readonly protocolVersion: ProtocolVersion;
    },
  ): Promise<Carried> {
    using resources = new DisposableStack();
    const backend = resources.use(stream);
    const relay = new Relay(this.#client.stream, backend, {
      fromClient: this.#client.takeBuffered(),
      fromBackend: buffered,
      sendCancel: async (isStillMeant) => {
        await canceller?.cancel(isStillMeant).catch((cause) =>
          this.#observe({ kind: "cancel_failed", cause })
        );
      },
    });
    const cancellable = { clientAddress: this.#clientPeer.address, cancel: () => relay.cancelQuery() };
    const key = resources.use(this.#house.cancelKeys.issue(cancellable, protocolVersion));
    await this.#client.say([
      encodeMessage(authentication, { kind: "AuthenticationOk" }),
      ...reached.forwarded,
      // Where the backend gives no key nothing could be cancelled: none is made up.
      ...(canceller === null ? [] : [encodeMessage(backendKeyData, key.keyData)]),
      encodeMessage(readyForQuery, { kind: "ReadyForQuery", transactionStatus: reached.transactionStatus }),
    ]);
    this.#login.signal.throwIfAborted();
    this.#relay = relay;
    this.#observe({ kind: "authenticated", asked: this.#asked, ...this.#facts(admission) });
    return { relay, resources: resources.move() };
  }

  /** From 'you are in' to the end. */
  async #carry({ relay, resources }: Carried): Promise<void> {
    using _resources = resources;
    const result = await relay.run();
    this.#observe({ kind: "session_ended", durationMs: this.#elapsedMs(), ...result });
  }

  /** A CancelRequest has no answer, whatever comes of it. */
  async #cancel({ processId, secretKey }: CancelRequest): Promise<void> {
    const session = this.#house.cancelKeys.find(processId, secretKey, this.#clientPeer.address);
    this.#observe({ kind: "cancel_requested", isKnown: session !== undefined });
    await session?.cancel();
  }

  async #refuse(error: PgError): Promise<void> {
    const { sqlstate, message, reason, blame, cause } = error;
    const durationMs = this.#elapsedMs();
    const refusal = { sqlstate, message, reason, blame, cause, durationMs };
    this.#observe({ kind: "login_refused", asked: this.#asked, ...refusal });
    if (this.#client.isConnected) await sayFarewell(this.#client.detach(), encodeError(error));
  }

  #facts({ token, decision }: Admission) {
    const { rule, identity, role, backend, database } = decision;
    return {
      identity,
      issuer: token.issuer,
      rule: rule.name ?? `rules[${rule.index}]`,
      role,
      backend,
      database,
      durationMs: this.#elapsedMs(),
    };
  }

  /** Shows the observer what passes; `directions` are ours and the peer's. */
  #trace(
    peer: "client" | "backend",
    [ours, theirs]: readonly [Direction, Direction],
  ): ChannelTrace | undefined {
    if (!this.#house.isTracing) return undefined;
    const show = (direction: Direction) => (bytes: Uint8Array) =>
      this.#observe({ kind: "message_traced", peer, message: traceFrame(direction, bytes) });
    return { sent: show(ours), received: show(theirs) };
  }

  #elapsedMs(): number {
    return Math.round(this.#house.now() - this.#startedMs);
  }

  #observe(event: DistributiveOmit<Parameters<Observer>[0], "connection">): void {
    this.#house.observe({ connection: this.#connection, ...event } as Parameters<Observer>[0]);
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

function askedFor({ user, database, settings }: SessionRequest): AskedFor {
  return { user, database, applicationName: settings.get("application_name") };
}

function loginTimedOut(): PgError {
  return new PgError(SQLSTATE.queryCanceled, "canceling authentication due to timeout");
}
