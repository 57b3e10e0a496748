import assert from "node:assert/strict";

/** A span as OTLP has it in JSON, as far as tests look at it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** 2: it failed. */
  readonly statusCode: number;
}

interface OtlpSpan extends Omit<ReceivedSpan, "startMs" | "endMs" | "attributes" | "statusCode"> {
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
  readonly status: { readonly code: number };
}

interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly OtlpSpan[];
    }[];
  }[];
}

/**
 * A collector that takes traces by OTLP over HTTP, in JSON.
 *
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export class OtlpCollector implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** The bodies of all requests. */
  readonly bodies: string[] = [];
  /** What was received under the name of an instrumentation scope. */
  readonly spans = new Map<string, ReceivedSpan[]>();

  constructor() {
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#server = Deno.serve(options, (request) => this.#receive(request));
  }

  /** The environment of a Deno that is to send its traces here, and nothing else. */
  get environment(): Readonly<Record<string, string>> {
    return {
      OTEL_DENO: "true",
      OTEL_DENO_METRICS: "false",
      OTEL_DENO_CONSOLE: "ignore",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_SERVICE_NAME: "pg-auth-proxy",
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }

  async #receive(request: Request): Promise<Response> {
    const body = await request.text();
    this.bodies.push(body);
    assert.equal(request.headers.get("content-type"), "application/json");
    if (new URL(request.url).pathname === "/v1/traces") this.#take(JSON.parse(body));
    return Response.json({});
  }

  #take({ resourceSpans }: OtlpTraces): void {
    for (const { scope, spans } of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans)) {
      const received = this.spans.get(scope.name) ?? [];
      received.push(...spans.map(receivedSpan));
      this.spans.set(scope.name, received);
    }
  }
}

function receivedSpan(span: OtlpSpan): ReceivedSpan {
  const { startTimeUnixNano, endTimeUnixNano, status, attributes, traceId, spanId, parentSpanId, name } =
    span;
  return {
    ...{ traceId, spanId, parentSpanId, name, statusCode: status.code },
    startMs: Number(startTimeUnixNano) / 1e6,
    endMs: Number(endTimeUnixNano) / 1e6,
    attributes: Object.fromEntries(
      attributes.map(({ key, value }) => [key, Object.values(value)[0] as string | number]),
    ),
  };
}
