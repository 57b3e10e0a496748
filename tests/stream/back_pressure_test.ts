import assert from "node:assert/strict";
import { acceptTlsOver } from "../../lib/stream/accept_tls.ts";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { dial, secureBackend } from "../../lib/stream/dial.ts";
import { Listener } from "../../lib/stream/listener.ts";
import { createServerCertificate } from "../../lib/stream/server_certificate.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";

/** More than the kernel's buffers of both sides hold, in bytes. */
const MORE_THAN_BUFFERS = 64 * 1024 * 1024;

/** A stream of ours, and the other end of it, which sends only as fast as it is let. */
interface Pair extends AsyncDisposable {
  readonly stream: ByteStream;
  readonly peer: Deno.Conn;
}

const PAIRS = { "a client": fromClient, "a client inside TLS": fromTlsClient, "a backend": fromBackend };

for (const [name, open] of Object.entries({ ...PAIRS, "a backend inside TLS": fromTlsBackend })) {
  Deno.test(`S2 a stream from ${name} that is not read holds its peer up, and loses nothing`, async () => {
    await using pair = await open(await createAuthority("back-pressure"));
    const sending = send(pair.peer);
    await sending.heldUp();
    assert.ok(sending.sent() < MORE_THAN_BUFFERS, "the peer was never held up");
    const received = await readAll(pair.stream);
    await sending.finished;
    assert.equal(received, sending.sent());
  });
}

/** Sends {@link MORE_THAN_BUFFERS} and a little more, each byte made of its place, and then the end. */
function send(peer: Deno.Conn) {
  let sent = 0;
  async function run(): Promise<void> {
    while (sent < MORE_THAN_BUFFERS) sent += await peer.write(PATTERN.subarray(sent % PATTERN.length));
    await peer.closeWrite();
  }
  const finished = run();
  return {
    finished,
    sent: () => sent,
    /** Settles when nothing has been sent for a while, or everything has. */
    async heldUp(): Promise<void> {
      for (let before = -1; before < sent && sent < MORE_THAN_BUFFERS;) {
        before = sent;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    },
  };
}

/** Reads to the end, and returns how many bytes there were; every place that is looked at must hold its own byte. */
async function readAll(stream: ByteStream): Promise<number> {
  let at = 0;
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) {
    for (let i = 0; i < chunk.length; i += 509) {
      assert.equal(chunk[i], PATTERN[(at + i) % PATTERN.length]);
    }
    at += chunk.length;
  }
  return at;
}

const PATTERN = new Uint8Array(65_521).map((_, place) => place % 251);

async function fromClient(): Promise<Pair> {
  const { stream, peer } = await accepted();
  return pairOf(stream, peer);
}

async function fromTlsClient(authority: Authority): Promise<Pair> {
  const { stream, peer: plain } = await accepted();
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  const certificate = createServerCertificate({
    certificatePem,
    privateKeyPem: keyPem,
    minimumTlsVersion: "TLSv1.2",
  });
  const [secure, peer] = await Promise.all([
    acceptTlsOver(stream, { certificate, signal: AbortSignal.timeout(5_000) }),
    Deno.startTls(plain, { hostname: "localhost", caCerts: [authority.certificatePem] }),
  ]);
  return pairOf(secure, peer);
}

async function fromBackend(): Promise<Pair> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [stream, peer] = await Promise.all([dialled(listener.addr), listener.accept()]);
  return pairOf(stream, peer);
}

async function fromTlsBackend(authority: Authority): Promise<Pair> {
  const { certificatePem, keyPem } = await authority.issueForLoopback();
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: certificatePem, key: keyPem });
  const securing = dialled(listener.addr).then((stream) =>
    secureBackend(stream, {
      mode: "verify-full",
      host: "localhost",
      isAlpnRequired: false,
      authoritiesPem: authority.certificatePem,
      signal: AbortSignal.timeout(5_000),
    })
  );
  const peer = await listener.accept();
  const [stream] = await Promise.all([securing, peer.handshake()]);
  return pairOf(stream, peer);
}

/** A stream that came in by a {@link Listener}, and its client. */
async function accepted(): Promise<{ stream: ByteStream; peer: Deno.TcpConn }> {
  const coming = Promise.withResolvers<ByteStream>();
  const events = { connection: coming.resolve, acceptPaused: coming.reject };
  using listener = await Listener.open({ host: "127.0.0.1", port: 0 }, events);
  const peer = await Deno.connect({ hostname: "127.0.0.1", port: listener.address.port });
  return { stream: await coming.promise, peer };
}

function dialled(address: Deno.Addr): Promise<ByteStream> {
  const { port } = address as Deno.NetAddr;
  return dial({ kind: "tcp", host: "127.0.0.1", port }, {
    transport: "socket",
    signal: AbortSignal.timeout(5_000),
  });
}

function pairOf(stream: ByteStream, peer: Deno.Conn): Pair {
  return {
    stream,
    peer,
    async [Symbol.asyncDispose]() {
      await stream.end();
      stream.destroy();
      peer.close();
    },
  };
}
