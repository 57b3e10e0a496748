import { Buffer } from "node:buffer";

/** Largest discovery document or key set read, in bytes. */
export const MAX_DOCUMENT_BYTES = 64 * 1024;

/** How long one document may take from the request to its last byte, in milliseconds. */
export const DOCUMENT_TIMEOUT_MS = 5_000;

/** What fetching needs from outside. */
export interface FetchOptions {
  readonly fetch: typeof fetch;
  /** Aborts the request when the verifier is closed. */
  readonly signal: AbortSignal;
  readonly insecureHttp: boolean;
  readonly timeoutMs?: number;
}

/** A document could not be had; the message is a sentence for the operator. */
export class DocumentUnavailable extends Error {
  override readonly name = "DocumentUnavailable";
}

/**
 * Fetches a JSON object of at most 64 KiB within 5 s, following no redirect.
 *
 * @throws {DocumentUnavailable} when anything at all goes wrong
 */
export async function fetchDocument(url: URL, options: FetchOptions): Promise<Record<string, unknown>> {
  const text = await exchange({ ...options, url }, async (response) => {
    await requireSuccess(response, url);
    return new TextDecoder("utf-8", { fatal: true }).decode(await readBody(response, url));
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new DocumentUnavailable(
      `${nameOf(url)} did not answer with JSON; compare the URL with the issuer's documentation`,
    );
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new DocumentUnavailable(`${nameOf(url)} did not answer with a JSON object`);
}

/** What is sent; without it, a GET. */
export interface DocumentRequest {
  readonly method: "POST";
  readonly headers: Headers;
  readonly body: string;
}

/** Whom a document is asked of, and how. */
export interface Exchange extends FetchOptions {
  readonly url: URL;
  readonly request?: DocumentRequest;
}

/**
 * Sends one request, following no redirect, and hands its response to `read` while the deadline runs.
 *
 * @throws {DocumentUnavailable} when there is no response in time; what `read` throws of that kind goes through
 */
export async function exchange<T>(
  { url, request, fetch, signal, insecureHttp, timeoutMs = DOCUMENT_TIMEOUT_MS }: Exchange,
  read: (response: Response) => Promise<T>,
): Promise<T> {
  if (url.protocol !== "https:" && !(url.protocol === "http:" && insecureHttp)) {
    throw new DocumentUnavailable(
      `${nameOf(url)} is not https; use an https URL, or set insecure_http = true for a test`,
    );
  }
  using deadline = new Deadline(timeoutMs);
  const headers = new Headers(request?.headers);
  headers.set("accept", "application/json");
  try {
    const response = await fetch(url, {
      ...request,
      // A redirect would let the issuer's web server choose any address inside our network.
      redirect: "manual",
      headers,
      signal: AbortSignal.any([signal, deadline.signal]),
    });
    return await read(response);
  } catch (error) {
    if (error instanceof DocumentUnavailable) throw error;
    if (deadline.signal.aborted) {
      throw new DocumentUnavailable(`${nameOf(url)} did not answer within ${timeoutMs} ms`);
    }
    throw new DocumentUnavailable(`${nameOf(url)} could not be fetched: ${whyNotFetched(error)}`);
  }
}

/**
 * The body of at most 64 KiB. Counts while streaming: neither Content-Length nor the size before decompression can be
 * believed.
 *
 * @throws {DocumentUnavailable} when it is longer
 */
export async function readBody(response: Response, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    // Leaving the loop by a throw cancels the body.
    if (length > MAX_DOCUMENT_BYTES) {
      throw new DocumentUnavailable(`${nameOf(url)} answered with more than ${MAX_DOCUMENT_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Refuses any status but those of success, its body unread. */
export async function requireSuccess(response: Response, url: URL): Promise<void> {
  if (response.ok) return;
  await response.body?.cancel();
  throw new DocumentUnavailable(`${nameOf(url)} answered ${describeStatus(response)}`);
}

/** A URL as the log may show it: a query may hold a key of ours. */
export function nameOf({ origin, pathname }: URL): string {
  return origin + pathname;
}

/** Deno 2.9.6 says "fetch failed", and only in the cause what has failed: the name, the connection, the certificate. */
function whyNotFetched(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(/^error sending request for url \(\S*\): /, "");
}

function describeStatus({ status, type }: Response): string {
  const isRedirect = type === "opaqueredirect" || (status >= 300 && status < 400);
  return isRedirect ? "with a redirect, which is not followed; give the final URL" : `with status ${status}`;
}

/** Unlike AbortSignal.timeout its timer ends with the block. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(timeoutMs: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
