import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { acceptTlsOver } from "../../lib/stream/accept_tls.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { createServerCertificate } from "../../lib/stream/server_certificate.ts";
import { createAuthority } from "../support/certificates.ts";
import { socketPair } from "./sockets.ts";

const authority = await createAuthority("tls");
const issued = await authority.issueForLoopback();

const HEADER_LENGTH = 5;

/** The record that ends the connection: two bytes, their type, and the tag of AES-GCM. */
const ALERT_LENGTH = 2 + 1 + 16;

/** What a record of TLS 1.3 may add to what is in it. */
const MAX_EXPANSION = 256;

Deno.test.each<[string, readonly number[]]>([
  ["a few bytes", [100]],
  ["as much as fits", [8192]],
  ["a byte more than fits", [8193]],
  ["a byte less than fits twice", [16_383]],
  ["as much as fits twice", [16_384]],
  ["a byte more than fits twice", [16_385]],
  ["a chunk as it is read from a socket", [65_536]],
  ["small writes in a row", Array(40).fill(1000)],
  ["writes in a row that do not fit together", [5000, 5000, 5000, 5000]],
  ["small and large writes in a row", [100, 65_536, 1, 20_000, 8192, 300]],
])(
  "NodeStream writes %s to a client of TLS so that the last record is of 8 KiB at most",
  async (_, lengths) => {
    using pair = await socketPair();
    const records = new RecordCounter();
    const client = clientOver(pair.client, records);
    const server = await acceptTlsOver(pair.server, {
      certificate: createServerCertificate({
        certificatePem: issued.certificatePem,
        privateKeyPem: issued.keyPem,
        minimumTlsVersion: "TLSv1.3",
      }),
      signal: AbortSignal.timeout(5000),
    });
    const parts = lengths.map((length, index) => new Uint8Array(length).fill(index + 1));
    const received = everythingFrom(client);
    await Promise.all(parts.map((part) => server.write(part)));
    await server.end();
    assert.deepEqual(await received, new Uint8Array(await new Blob(parts).arrayBuffer()));
    assert.ok(
      records.last > 0 && records.last <= 8192 + MAX_EXPANSION,
      `the last one has ${records.last} bytes`,
    );
    client.destroy();
  },
);

/** Looks at the records that pass. */
class RecordCounter {
  #unread = new Uint8Array();
  /** Length of the last one that is longer than an alert, without its header. */
  last = 0;

  add(chunk: Uint8Array): void {
    const bytes = new Uint8Array([...this.#unread, ...chunk]);
    let at = 0;
    while (bytes.length - at >= HEADER_LENGTH) {
      const length = bytes[at + 3] << 8 | bytes[at + 4];
      if (bytes.length - at < HEADER_LENGTH + length) break;
      if (length > ALERT_LENGTH) this.last = length;
      at += HEADER_LENGTH + length;
    }
    this.#unread = bytes.subarray(at);
  }
}

/** A client inside TLS, whose records are counted on their way to it. */
function clientOver(stream: ByteStream, records: RecordCounter): TLSSocket {
  const carrier = new Duplex({
    read() {},
    write: (chunk, _, done) => void stream.write(chunk).then(() => done(), done),
  });
  stream.giveTo({
    isAtRest: false,
    take(chunk) {
      records.add(chunk);
      carrier.push(chunk);
      return true;
    },
    ended: () => void carrier.push(null),
    broke() {},
  });
  return connectTls({
    socket: carrier,
    servername: "localhost",
    ca: authority.certificatePem,
    ALPNProtocols: ["postgresql"],
  });
}

async function everythingFrom(socket: TLSSocket): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  socket.on("data", (chunk) => chunks.push(new Uint8Array(chunk)));
  await new Promise<void>((resolve, reject) => socket.once("end", resolve).once("error", reject));
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
