import type { Chronicle } from "./chronicle.ts";
import { answer } from "./dialogue.ts";
import type { Place } from "./limits/unauthenticated.ts";
import type { Stages } from "./stages.ts";
import type { SessionHouse, SessionSettings } from "./session_settings.ts";
import { acceptTls, openConversation, type Opening } from "./startup/opening.ts";
import { acceptTlsOver } from "./stream/accept_tls.ts";
import type { PeerAddress } from "./stream/byte_stream.ts";
import type { Channel } from "./stream/channel.ts";
import { checkClientCertificate } from "./stream/client_certificate.ts";
import { receiveProxyHeader, withUnexpectedHeader } from "./stream/proxied_client.ts";

/** What a client is received by. */
export interface ReceptionOptions {
  readonly settings: SessionSettings;
  readonly house: SessionHouse;
  readonly chronicle: Chronicle;
  readonly stages: Stages;
  /** Its place among the strangers, which are counted by where they come from. */
  readonly place: Place;
  /** Aborts when the login must end. */
  readonly signal: AbortSignal;
}

/** Receives one client: who has come, what it wants, and TLS around all that follows. */
export class Reception {
  readonly #client: Channel;
  readonly #about: ReceptionOptions;
  /** Who is at the other end of the connection: the client, or a balancer. */
  readonly #via: PeerAddress;

  constructor(client: Channel, about: ReceptionOptions) {
    this.#client = client;
    this.#about = about;
    this.#via = client.stream.peer;
  }

  /** Who has come? Where a balancer has brought somebody, that is for its PROXY header to say. */
  async meet(): Promise<void> {
    const { settings, place, chronicle } = this.#about;
    const { stream } = this.#client;
    try {
      await receiveProxyHeader(this.#client, settings.balancers);
      place.comesFrom(stream.peer.address);
    } finally {
      if (stream.peer !== this.#via) chronicle.introduce(stream.peer);
      chronicle.note({ kind: "connection_opened" });
    }
  }

  /** What does it want? The client is inside TLS then, if that is asked for. */
  async open(): Promise<Opening> {
    const { certificate, allowsPlaintext, balancers } = this.#about.settings;
    const opening = openConversation({ offersTls: certificate !== null, allowsPlaintext });
    const upgrade = answer(acceptTls, ({ isDirect }) => this.#acceptTls(isDirect));
    try {
      return await this.#client.converse(opening, [upgrade]);
    } catch (error) {
      throw withUnexpectedHeader(error, { channel: this.#client, via: this.#via.address, balancers });
    }
  }

  async #acceptTls(isDirect: boolean): Promise<void> {
    const { settings, house, chronicle, stages, signal } = this.#about;
    const { certificate, clientCertificates } = settings;
    const begun = isDirect ? this.#client.takeBuffered() : undefined;
    const asksForCertificate = clientCertificates.demand !== "none";
    const options = { certificate: certificate!, asksForCertificate, begun, signal };
    const begin = () => acceptTlsOver(this.#client.detach(), options);
    this.#client.attach(await stages.time("tls", begin));
    const tls = this.#client.stream.tls!;
    chronicle.secured(tls.version);
    chronicle.note({ kind: "tls_established", isDirect });
    // Only now, so that whoever is refused is told why.
    checkClientCertificate(tls, { policy: clientCertificates, nowMs: house.wallClock() });
  }
}
