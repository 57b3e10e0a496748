import { agreeOnTls, answersOver, Attempt, isPlain } from "./backend_answers.ts";
import type { BackendAccess } from "./backend_link.ts";
import { backendViolation } from "./connect/backend_error.ts";
import { startTls } from "./connect/questions.ts";
import type { Host } from "./connect/target.ts";
import { type Dialogue, receiveByte, send } from "./dialogue.ts";
import { Channel } from "./stream/channel.ts";
import { dial } from "./stream/dial.ts";
import { encodeProxyHeader, type ProxiedConnection } from "./stream/proxy_header.ts";
import { encodeMessage } from "./wire/message.ts";
import { startupPacket } from "./wire/startup_packet.ts";

/** How long one host may take to answer a probe, in milliseconds. */
const PROBE_TIMEOUT_MS = 10_000;

/** No IP addresses, so that the header says that the proxy speaks for itself. */
const OURSELVES: ProxiedConnection = { client: { address: "", port: 0 }, server: { address: "", port: 0 } };

/**
 * Is the backend there? Speaks to its hosts in turn until one answers, as far as a login does before it says who it is: inside
 * TLS its certificate has been checked. PostgreSQL logs nothing of it.
 *
 * @throws {PgError} 08001 or 08P01 with what is wrong at the last of the hosts as its reason
 */
export async function probeBackend(access: BackendAccess): Promise<void> {
  const [last, ...others] = access.target.hosts.toReversed();
  for (const host of others.reverse()) {
    const isThere = await probeHost(access, host).then(() => true, () => false);
    if (isThere) return;
  }
  await probeHost(access, last);
}

async function probeHost(access: BackendAccess, host: Host): Promise<void> {
  using attempt = new Attempt();
  const signal = attempt.begin(host, Math.min(access.target.connectTimeoutMs, PROBE_TIMEOUT_MS));
  using channel = new Channel(await dial(host, { transport: "socket", signal }), signal);
  if (access.sendsProxyHeader) await channel.stream.write(encodeProxyHeader(OURSELVES));
  const answers = answersOver(channel, access, { attempt, isBesideConn: false });
  await channel.converse(isPlain(access, host) ? askForTls(access, host) : agreeOnTls(access, host), answers);
  // With bytes unread, as TLS leaves them, a close would reset the connection, and PostgreSQL log that.
  await channel.stream.end();
  await channel.untilEnd().catch(() => {});
}

/**
 * A port may be open while nobody is behind it: outside TLS, whoever says yes or no to TLS is there. Behind a yes TLS begins,
 * unchecked, as nothing is said in it: a backend that is left before logs that it could not accept it.
 */
function* askForTls({ name }: BackendAccess, host: Host): Dialogue<void> {
  yield* send(encodeMessage(startupPacket, { kind: "SSLRequest" }));
  const reply = String.fromCharCode(yield* receiveByte("the answer to SSLRequest"));
  if (!"SN".includes(reply)) throw backendViolation(name, "it answered SSLRequest with neither S nor N");
  if (reply === "N" || host.kind === "unix") return;
  yield* startTls({ serverName: host.host, sslmode: "require", isAlpnRequired: false });
}
