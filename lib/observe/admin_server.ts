import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { acceptAgain } from "../accept_again.ts";
import type { ListenAddress } from "../listen_address.ts";
import type { Secret } from "../secret.ts";
import type { ReadinessAnswer } from "./readiness.ts";

/** Figures in a form that somebody collects. */
export interface Exposition {
  /** Of HTTP: its media type and version. */
  readonly contentType: string;
  text(): Promise<string>;
}

/** What an {@link AdminServer} answers with. */
export interface AdminSources {
  readonly readiness: () => ReadinessAnswer;
  readonly metrics: Exposition;
}

/** Who the server is inside TLS. */
export interface AdminTls {
  /** PEM, the leaf first. */
  readonly certificates: string;
  /** PEM. */
  readonly privateKey: Secret;
}

/** What an {@link AdminServer} is made of. */
export interface AdminServerOptions {
  readonly address: ListenAddress;
  /** Without it, outside TLS. */
  readonly tls?: AdminTls;
  readonly sources: AdminSources;
}

/**
 * What those may take who ask. `node:http` and not `Deno.serve`: there a connection that sends nothing, or half a request,
 * stays for ever, and there may be any number of them (Deno 2.9.6).
 */
const LIMITS = {
  /** Bytes of a request's head. */
  maxHeaderSize: 8192,
  /** Until the head has come, and until the whole request has, in milliseconds. */
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 5_000,
} as const;

const HANDSHAKE_TIMEOUT_MS = 5_000;

/** For one answer to be taken, in milliseconds. */
const SOCKET_TIMEOUT_MS = 15_000;

/** Few ask, and each may have `node:http` take apart a whole chunk of requests before it can be sent away. */
const MAX_CONNECTIONS = 16;

/** How often it is made sure that connections are accepted, in milliseconds. */
const ACCEPT_AGAIN_MS = 1_000;

/**
 * Where the proxy itself is asked how it is: `/health`, `/ready`, `/metrics` and the same by the ancestor's name, `/vars`.
 *
 * It reads nothing but the first line of a request, and changes nothing: whoever reaches it learns how the proxy is, and
 * no more.
 */
export class AdminServer implements AsyncDisposable {
  readonly #server: Server | TlsServer;
  readonly #acceptingAgain: ReturnType<typeof setInterval>;

  private constructor(server: Server | TlsServer) {
    this.#server = server;
    this.#acceptingAgain = setInterval(() => acceptAgain(server), ACCEPT_AGAIN_MS);
  }

  /** Begins to answer. Rejects with the error of the system when the address cannot be listened on. */
  static async open({ address, tls, sources }: AdminServerOptions): Promise<AdminServer> {
    const answer = answerFrom(sources);
    const server = tls === undefined
      ? createServer(LIMITS, answer)
      : createTlsServer({ ...LIMITS, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, ...identityOf(tls) }, answer);
    server.maxConnections = MAX_CONNECTIONS;
    server.setTimeout(SOCKET_TIMEOUT_MS, (socket: Socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address.port, address.host, resolve);
    });
    // What goes wrong with one who asks is nobody else's trouble.
    server.on("error", () => {});
    return new AdminServer(server);
  }

  /** Where it listens: the port the system chose, when it was asked for port 0. */
  get address(): ListenAddress {
    const { address: host, port } = this.#server.address() as AddressInfo;
    return { host, port };
  }

  /** Shows another certificate to connections from now on. */
  renew(tls: AdminTls): void {
    (this.#server as TlsServer).setSecureContext(identityOf(tls));
  }

  [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    clearInterval(this.#acceptingAgain);
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    return promise;
  }
}

function identityOf({ certificates, privateKey }: AdminTls) {
  return { cert: certificates, key: privateKey.reveal() };
}

/**
 * One answer at a time to each connection: Deno 2.9 goes on reading and answering a client that asks thousands of times
 * ahead and reads nothing, until there is no memory left.
 */
function answerFrom(sources: AdminSources) {
  const answering = new WeakSet<Socket>();
  return (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    if (answering.has(socket)) return void socket.destroy();
    answering.add(socket);
    response.once("finish", () => answering.delete(socket));
    answerTo(request, sources).then(
      (answer) => send(response, { isHead: request.method === "HEAD", ...answer }),
      // A bug of ours: who asks is not told of it.
      () => send(response, { status: 500, contentType: PLAIN, body: "Internal Server Error\n" }),
    );
  };
}

interface AdminAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const PLAIN = "text/plain; charset=utf-8";

async function answerTo(
  { method, url = "" }: IncomingMessage,
  { readiness, metrics }: AdminSources,
): Promise<AdminAnswer> {
  if (method !== "GET" && method !== "HEAD") {
    return { status: 405, contentType: PLAIN, body: "Method Not Allowed\n" };
  }
  switch (url.split("?", 1)[0]) {
    case "/health":
      return { status: 200, contentType: PLAIN, body: "OK" };
    case "/ready": {
      const answer = readiness();
      const body = JSON.stringify(answer, null, 2) + "\n";
      return { status: answer.ready ? 200 : 503, contentType: "application/json", body };
    }
    case "/metrics":
    case "/vars":
      return { status: 200, contentType: metrics.contentType, body: await metrics.text() };
    default:
      return { status: 404, contentType: PLAIN, body: "Not Found\n" };
  }
}

function send(
  response: ServerResponse,
  { status, contentType, body, isHead = false }: AdminAnswer & { readonly isHead?: boolean },
): void {
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": new TextEncoder().encode(body).length,
    "cache-control": "no-store",
    ...(status === 405 ? { allow: "GET, HEAD" } : {}),
    // A body that nobody reads must not be taken for the next request.
    ...(status === 405 ? { connection: "close" } : {}),
  });
  response.end(isHead ? undefined : body);
}
