import { type Credentials, logIn } from "../../lib/connect/log_in.ts";
import { negotiateTls } from "../../lib/connect/negotiate_tls.ts";
import { deriveScramKeys, randomBytes, startTls } from "../../lib/connect/questions.ts";
import { ScramKeyMemory } from "../../lib/connect/scram_key_memory.ts";
import { answer, type Dialogue, receive, send } from "../../lib/dialogue.ts";
import { Channel } from "../../lib/stream/channel.ts";
import { dial, secureBackend } from "../../lib/stream/dial.ts";
import { authentication } from "../../lib/wire/authentication.ts";
import { errorResponse } from "../../lib/wire/error_response.ts";
import { saslInitialResponse, saslResponse, terminate } from "../../lib/wire/frontend.ts";
import { encodeMessage } from "../../lib/wire/message.ts";
import { startupPacket } from "../../lib/wire/startup_packet.ts";
import type { IssuedCertificate } from "../support/certificates.ts";
import { DATABASE } from "./stage.ts";

/** Where a client logs in, and inside which TLS. */
export interface Door {
  readonly port: number;
  /** PEM of the authority to trust. */
  readonly authorityPem: string;
  /** What the client shows in TLS. */
  readonly certificate?: IssuedCertificate;
}

/** What a client logs in with. */
export type LoginClient = Pick<Credentials, "user" | "requireAuth" | "password" | "token">;

const SCRAM_KEYS = new ScramKeyMemory();

const DEADLINE_MS = 10_000;
const PROTOCOL_VERSION = { major: 3, minor: 0 };

/**
 * One login over a TLS connection of its own, from connecting to ReadyForQuery; the session ends when it is disposed of.
 * It is the proxy's own client that speaks, which knows all the ways that are compared.
 */
export async function logInOnce(door: Door, client: LoginClient): Promise<AsyncDisposable> {
  const credentials: Credentials = {
    ...client,
    backend: "bench",
    channelBinding: "disable",
    isEncrypted: true,
    isVerified: true,
    isLocal: true,
    hasClientCertificate: false,
  };
  const startup = { protocolVersion: PROTOCOL_VERSION, parameters: parametersOf(client.user) };
  const channel = await connect(door);
  try {
    await channel.converse(logIn(startup, credentials), [
      answer(randomBytes, (length) => crypto.getRandomValues(new Uint8Array(length))),
      answer(deriveScramKeys, (salting) => SCRAM_KEYS.keysOf(salting)),
    ]);
    return { [Symbol.asyncDispose]: () => leave(channel) };
  } catch (error) {
    channel[Symbol.dispose]();
    throw error;
  }
}

/** One connection that asks where to get a token, and ends with the answer, as libpq's first one does. */
export async function discoverOnce(door: Door, user: string): Promise<void> {
  using channel = await connect(door);
  await channel.converse(discover(user));
}

async function leave(channel: Channel): Promise<void> {
  using _channel = channel;
  await channel.say([encodeMessage(terminate, { kind: "Terminate" })]);
  await channel.untilEnd();
}

async function connect({ port, authorityPem, certificate }: Door): Promise<Channel> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const stream = await dial({ kind: "tcp", host: "127.0.0.1", port }, { transport: "socket", signal });
  const channel = new Channel(stream, signal);
  const tls = {
    mode: "verify-full",
    host: "localhost",
    isAlpnRequired: false,
    authoritiesPem: authorityPem,
    certificatePem: certificate?.certificatePem,
    privateKeyPem: certificate?.keyPem,
    signal,
  } as const;
  const wanted = {
    backend: "bench",
    serverName: "localhost",
    sslmode: "verify-full",
    isDirect: false,
  } as const;
  await channel.converse(negotiateTls(wanted), [
    answer(startTls, async () => {
      channel.attach(await secureBackend(channel.detach(), tls));
      return {};
    }),
  ]);
  return channel;
}

function* discover(user: string): Dialogue<void> {
  const parameters = parametersOf(user);
  yield* send(
    encodeMessage(startupPacket, {
      kind: "StartupMessage",
      protocolVersion: PROTOCOL_VERSION,
      parameters,
    }),
  );
  yield* receive(authentication);
  const asks = new TextEncoder().encode("n,,\x01auth=\x01\x01");
  yield* send(
    encodeMessage(saslInitialResponse, {
      kind: "SASLInitialResponse",
      mechanism: "OAUTHBEARER",
      data: asks,
    }),
  );
  yield* receive(authentication);
  yield* send(encodeMessage(saslResponse, { kind: "SASLResponse", data: Uint8Array.of(0x01) }));
  yield* receive(errorResponse);
}

function parametersOf(user: string): Map<string, string> {
  return new Map([["user", user], ["database", DATABASE]]);
}
