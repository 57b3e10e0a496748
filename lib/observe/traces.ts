import {
  type Attributes,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { Login, LoginRefusal, LoginStage, Observer, ProxyEvent, SessionEvent } from "./events.ts";
import { refusalReason } from "./refusal_reason.ts";

/**
 * An observer that makes a trace of each login, for Deno to export: `login`, and in it `tls`, `token` and `backend`. None
 * where Deno exports no traces: then a login costs nothing for them.
 *
 * The spans are made when the login is over, of times taken anyway. They name no user, database, identity or address: the
 * log has those, under the same number of the connection.
 *
 * @see https://docs.deno.com/runtime/fundamentals/open_telemetry/
 */
export function openTraces(wallClock: () => number = Date.now): Observer | undefined {
  // Deno puts a provider of its own in this one's place when OTEL_DENO is true.
  if (trace.getTracerProvider() instanceof ProxyTracerProvider) return undefined;
  return (event: SessionEvent | ProxyEvent) => {
    switch (event.kind) {
      case "authenticated":
        return traceLogin(event, { endMs: wallClock(), attributes: ofSuccess(event) });
      case "login_refused":
        return traceLogin(event, {
          endMs: wallClock(),
          attributes: ofRefusal(event),
          failure: refusalReason(event),
        });
    }
  };
}

/** What of an event makes a trace. */
interface Timed {
  readonly connection: { readonly id: number };
  readonly durationMs: number;
  readonly stages: readonly LoginStage[];
}

function traceLogin(
  { connection, durationMs, stages }: Timed,
  { endMs, attributes, failure }: {
    readonly endMs: number;
    readonly attributes: Attributes;
    /** Why it failed, in a word. */
    readonly failure?: string;
  },
): void {
  const tracer = trace.getTracer("pg-auth-proxy");
  const beganMs = endMs - durationMs;
  const login = tracer.startSpan("login", {
    kind: SpanKind.SERVER,
    startTime: beganMs,
    attributes: { "db.system.name": "postgresql", "pg_auth_proxy.connection": connection.id, ...attributes },
  }, ROOT_CONTEXT);
  const inLogin = trace.setSpan(ROOT_CONTEXT, login);
  for (const { name, startedMs, durationMs } of stages) {
    const kind = name === "backend" ? SpanKind.CLIENT : SpanKind.INTERNAL;
    const stage = tracer.startSpan(name, { kind, startTime: beganMs + startedMs }, inLogin);
    stage.end(beganMs + startedMs + durationMs);
  }
  if (failure !== undefined) {
    login.setAttribute("error.type", failure);
    login.setStatus({ code: SpanStatusCode.ERROR, message: failure });
  }
  login.end(endMs);
}

function ofSuccess({ method, issuer, rule, backend }: Login): Attributes {
  return {
    "pg_auth_proxy.method": method,
    "pg_auth_proxy.issuer": issuer,
    "pg_auth_proxy.rule": rule,
    "pg_auth_proxy.backend": backend,
  };
}

function ofRefusal({ method, sqlstate, blame }: LoginRefusal): Attributes {
  return {
    "db.response.status_code": sqlstate,
    "pg_auth_proxy.blame": blame,
    ...(method === undefined ? {} : { "pg_auth_proxy.method": method }),
  };
}
