// In: what a client is to say in the middle of a TLS handshake. Out: what the server says to that, an alert mostly.
// Chapter: TLS 1.2 as far as the client's Finished, in clear and without keys: no TLS library lets a client lie (RFC 5246).

import { createECDH, randomBytes, sign } from "node:crypto";
import type { RawConnection } from "./raw_connection.ts";
import { concat, int16, int32, text } from "./raw_messages.ts";

/** What a client that has shown a certificate says next. */
export interface Proof {
  /** DER of the certificates to show, the leaf first. */
  readonly certificates: readonly Uint8Array[];
  /** PEM of the key that signs the handshake; without it the signature is left out. */
  readonly keyPem?: string;
}

/** Alerts by their number. */
export const ALERT = {
  unexpectedMessage: 10,
  badRecordMac: 20,
  badCertificate: 42,
  decryptError: 51,
} as const;

const HANDSHAKE_RECORD = 22;
const ALERT_RECORD = 21;
const CHANGE_CIPHER_SPEC_RECORD = 20;

/** Types of handshake messages. */
const TYPE = {
  certificate: 11,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  keyExchange: 16,
};

/** A client's half of a handshake, one message after the other. */
export class BareHandshake {
  readonly #connection: RawConnection;
  /** Every handshake message so far, both ways: what the client signs. */
  #transcript = new Uint8Array();

  private constructor(connection: RawConnection) {
    this.#connection = connection;
  }

  /** Greets the server and hears it out: from here on it is the client's turn, with its certificate first. */
  static async begin(connection: RawConnection): Promise<{ handshake: BareHandshake; isAsked: boolean }> {
    const handshake = new BareHandshake(connection);
    await handshake.#say(1, CLIENT_HELLO);
    const types = await handshake.#hear();
    return { handshake, isAsked: types.includes(TYPE.certificateRequest) };
  }

  /**
   * Shows certificates, proves their key or not, and goes on as if all were well, up to a Finished of noise: the server's
   * answer is the alert whose number this gives. Who got as far as the noise is told `badRecordMac`.
   */
  async prove({ certificates, keyPem }: Proof): Promise<number> {
    const list = concat(...certificates.map((der) => concat(int24(der.length), der)));
    await this.#say(TYPE.certificate, concat(int24(list.length), list));
    const point = createECDH("prime256v1").generateKeys();
    await this.#say(TYPE.keyExchange, concat(Uint8Array.of(point.length), new Uint8Array(point)));
    if (keyPem !== undefined) {
      const signature = new Uint8Array(sign("sha256", this.#transcript, keyPem));
      const algorithm = Uint8Array.of(4, 3); // ecdsa_secp256r1_sha256
      await this.#say(TYPE.certificateVerify, concat(algorithm, int16(signature.length), signature));
    }
    await this.#write(CHANGE_CIPHER_SPEC_RECORD, Uint8Array.of(1));
    await this.#write(HANDSHAKE_RECORD, new Uint8Array(randomBytes(40)));
    for (;;) {
      const { type, payload } = await this.#readRecord();
      if (type === ALERT_RECORD) return payload[1];
    }
  }

  async #say(type: number, body: Uint8Array): Promise<void> {
    const message = concat(Uint8Array.of(type), int24(body.length), body);
    this.#transcript = new Uint8Array(concat(this.#transcript, message));
    // It may have been sent away in the middle, with an alert that is still to be read.
    await this.#write(HANDSHAKE_RECORD, message).catch(() => {});
  }

  /** The types of the server's messages up to its ServerHelloDone. */
  async #hear(): Promise<number[]> {
    const types: number[] = [];
    let unread = new Uint8Array();
    while (types.at(-1) !== TYPE.serverHelloDone) {
      const { type, payload } = await this.#readRecord();
      if (type !== HANDSHAKE_RECORD) throw new Error(`a record of type ${type} came in the handshake`);
      unread = new Uint8Array(concat(unread, payload));
      while (unread.length >= 4 && unread.length >= 4 + lengthAt(unread, 1)) {
        const end = 4 + lengthAt(unread, 1);
        types.push(unread[0]);
        this.#transcript = new Uint8Array(concat(this.#transcript, unread.subarray(0, end)));
        unread = unread.slice(end);
      }
    }
    return types;
  }

  async #write(type: number, payload: Uint8Array): Promise<void> {
    await this.#connection.send(concat(Uint8Array.of(type, 3, 3), int16(payload.length), payload));
  }

  async #readRecord(): Promise<{ type: number; payload: Uint8Array }> {
    const header = await this.#connection.receive(5);
    return { type: header[0], payload: await this.#connection.receive(header[3] * 256 + header[4]) };
  }
}

const CLIENT_HELLO = concat(
  Uint8Array.of(3, 3),
  new Uint8Array(randomBytes(32)),
  Uint8Array.of(0), // no session
  int16(4),
  Uint8Array.of(0xc0, 0x2b, 0xc0, 0x2f), // ECDHE with ECDSA or RSA, AES-128-GCM
  Uint8Array.of(1, 0), // no compression
  vector(concat(
    extension(0, vector(concat(Uint8Array.of(0), vector(text("localhost"))))), // server_name
    extension(10, vector(Uint8Array.of(0, 23))), // supported_groups: secp256r1
    extension(11, Uint8Array.of(1, 0)), // ec_point_formats: uncompressed
    extension(13, vector(Uint8Array.of(4, 3, 8, 4, 4, 1))), // signature_algorithms
  )),
);

function extension(type: number, body: Uint8Array): Uint8Array {
  return concat(int16(type), vector(body));
}

function vector(body: Uint8Array): Uint8Array {
  return concat(int16(body.length), body);
}

function int24(value: number): Uint8Array {
  return int32(value).slice(1);
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return bytes[at] * 65536 + bytes[at + 1] * 256 + bytes[at + 2];
}
