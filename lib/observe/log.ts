import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import type { Observer, ProxyEvent, SessionEvent } from "./events.ts";
import { logEntryOf, type LogLevel } from "./log_entry.ts";
import { printable } from "../printable.ts";
import type { LogSettings } from "./schema.ts";

/** The log: an observer that writes one line an event. */
export interface Log extends Disposable {
  readonly observe: Observer;
}

const CATEGORY = "pg-auth-proxy";

const LEVELS = { error: "error", warn: "warning", info: "info", debug: "debug", trace: "trace" } as const;

/** Opens the program's one log; `write` gets whole lines. */
export function openLog(settings: LogSettings, write: (line: string) => void): Log {
  const format = FORMATS[settings.format];
  const sink = (record: LogRecord) => write(format(record));
  configureSync({
    reset: true,
    sinks: { lines: sink },
    loggers: [
      { category: CATEGORY, lowestLevel: LEVELS[settings.level], sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["lines"] },
    ],
  });
  const logger = getLogger(CATEGORY);
  return {
    observe(event) {
      const record = recordOf(event);
      if (logger.isEnabledFor(record.level)) logger.emit(record);
    },
    [Symbol.dispose]: resetSync,
  };
}

/** An event as a line of the log, whatever its level. */
export function logLineOf(event: SessionEvent | ProxyEvent, format: LogSettings["format"]): string {
  return FORMATS[format](recordOf(event));
}

type Entry = Pick<LogRecord, "timestamp" | "level" | "message" | "properties">;

const FORMATS = { text: textLine, json: jsonLine, fluent: fluentLine } as const;

function recordOf(event: SessionEvent | ProxyEvent) {
  const { level, message, fields } = logEntryOf(event);
  const timestamp = Date.now();
  return { timestamp, level: LEVELS[level], message: [message], rawMessage: message, properties: fields };
}

/** One JSON object: `timestamp`, `severity` and `message` as the program's Go ancestor named them, then the fields. */
function jsonLine(record: Entry): string {
  const { timestamp, severity, message } = headOf(record);
  return JSON.stringify({ timestamp, severity, message, ...Object.fromEntries(fieldsOf(record)) }) + "\n";
}

/** The ancestor's own lines: one JSON object, its severities those that collectors of Fluentd know, `warning` among them. */
function fluentLine(record: Entry): string {
  const { timestamp, severity, message } = headOf(record);
  const head = { message, severity: severity === "warn" ? "warning" : severity, timestamp };
  return JSON.stringify({ ...head, ...Object.fromEntries(fieldsOf(record)) }) + "\n";
}

/** The time, the level, what happened, and fields as `name=value`; a value is quoted unless it is one plain word. */
function textLine(record: Entry): string {
  const { timestamp, severity, message } = headOf(record);
  const fields = fieldsOf(record).map(([name, value]) => {
    const isPlain = typeof value !== "string" || /^[^\s"=]+$/.test(value);
    return ` ${name}=${isPlain ? value : `"${value.replaceAll('"', '\\"')}"`}`;
  });
  return `${timestamp} ${severity} ${message}${fields.join("")}\n`;
}

function headOf({ timestamp, level, message }: Entry) {
  const severity: LogLevel = level === "warning" ? "warn" : level === "fatal" ? "error" : level;
  return { timestamp: new Date(timestamp).toISOString(), severity, message: message.join("") };
}

function fieldsOf(record: Entry): [string, string | number | boolean][] {
  return Object.entries(record.properties).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [[name, plain(value, { name, level: record.level })] as [string, string | number | boolean]]
  );
}

// What the proxy says itself may be longer than a name: a reason can tell of many rules, and a stack is the only way to
// find a bug of ours.
const SENTENCE_LENGTH = 1024;
const REASON_LENGTH = 4096;
const LENGTHS = new Map([["told", SENTENCE_LENGTH], ["trace", SENTENCE_LENGTH], ["reason", REASON_LENGTH]]);

function plain(value: unknown, { name, level }: { name: string; level: string }): string | number | boolean {
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map((one) => printable(String(one), SENTENCE_LENGTH)).join("; ");
  if (value instanceof Error) {
    if (level === "error" && value.stack !== undefined) return printable(value.stack, REASON_LENGTH);
    return printable(`${value.name}: ${value.message}`, SENTENCE_LENGTH);
  }
  // A secret prints as [secret], whatever carries it.
  return printable(String(value), LENGTHS.get(name));
}
