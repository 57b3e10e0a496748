import {
  passwordMessage,
  query,
  type RawMessage,
  SSL_REQUEST,
  startupMessage,
  typed,
} from "../support/raw_messages.ts";
import type { Entrance, Transport } from "./contender.ts";
import { DATABASE } from "./stage.ts";

const AUTHENTICATION_CLEARTEXT_PASSWORD = 3;

/** A session as small as it can be on our side; its password is sent in clear or not at all. */
export class SessionClient {
  #conn: Deno.Conn;
  #received = new Uint8Array(0);

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Connects and logs in. */
  static async open(
    { port, transport, simpleCredentials }: Pick<Entrance, "port" | "simpleCredentials"> & {
      readonly transport: Transport;
    },
    authorityPem: string,
  ): Promise<SessionClient> {
    if (simpleCredentials === undefined) throw new Error("A password in clear does not let in here");
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    const client = new SessionClient(conn);
    try {
      if (transport === "TLS") await client.#askForTls();
      if (transport !== "plain") await client.#startTls(authorityPem);
      await client.#logIn(simpleCredentials);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Runs one statement, whose answer is thrown away. */
  async query(statement: string): Promise<void> {
    await this.#send(query(statement));
    await this.#untilReady();
  }

  /** Ends the session. */
  close(): void {
    // Whoever does not read Terminate will read the end; of a connection whose handshake failed nothing is left to close.
    this.#conn.write(typed("X")).catch(() => {}).then(() => this.#conn.close()).catch(() => {});
  }

  async #askForTls(): Promise<void> {
    await this.#send(SSL_REQUEST);
    const answer = new Uint8Array(1);
    await this.#conn.read(answer);
    if (answer[0] !== "S".charCodeAt(0)) throw new Error("TLS is not offered");
  }

  async #startTls(authorityPem: string): Promise<void> {
    this.#conn = await Deno.startTls(this.#conn as Deno.TcpConn, {
      hostname: "localhost",
      caCerts: [authorityPem],
      alpnProtocols: ["postgresql"],
    });
  }

  async #logIn({ user, password }: { user: string; password: string }): Promise<void> {
    await this.#send(startupMessage({ user, database: DATABASE }));
    const { type, body } = await this.#receive();
    if (type === "R" && body[3] === AUTHENTICATION_CLEARTEXT_PASSWORD) {
      await this.#send(passwordMessage(password));
    } else if (type !== "R" || body[3] !== 0) throw refusal(type, body);
    await this.#untilReady();
  }

  async #untilReady(): Promise<void> {
    for (;;) {
      const { type, body } = await this.#receive();
      if (type === "Z") return;
      if (type === "E") throw refusal(type, body);
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  async #receive(): Promise<RawMessage> {
    for (;;) {
      const length = this.#received.length < 5
        ? Infinity
        : new DataView(this.#received.buffer, this.#received.byteOffset).getInt32(1) + 1;
      if (this.#received.length >= length) {
        const type = String.fromCharCode(this.#received[0]);
        const body = this.#received.slice(5, length);
        this.#received = this.#received.slice(length);
        return { type, body };
      }
      await this.#readMore();
    }
  }

  async #readMore(): Promise<void> {
    const chunk = new Uint8Array(4096);
    const length = await this.#conn.read(chunk);
    if (length === null) throw new Error("The session was closed");
    const all = new Uint8Array(this.#received.length + length);
    all.set(this.#received);
    all.set(chunk.subarray(0, length), this.#received.length);
    this.#received = all;
  }
}

function refusal(type: string, body: Uint8Array): Error {
  return new Error(
    `The login was answered with ${type}: ${new TextDecoder().decode(body).replaceAll("\0", " ")}`,
  );
}
