import { dirname, join } from "node:path/posix";
import { onImports, pathInHouse } from "./lint_source.ts";

/** Files at the top of `lib/` that anyone may use: they know nothing of a connection. */
const LEAVES = [
  "errors",
  "sqlstate",
  "secret",
  "duration",
  "mistake",
  "printable",
  "address",
  "network",
  "connection_maximum",
  "accept_again",
  "listen_address",
  "der",
  "b64token",
  "pem",
  "timers",
  "soon",
  "long_work",
];

/** What every room on a connection's way speaks with. */
const SPEECH = ["wire", "dialogue", ...LEAVES];

/**
 * Who may import whom: a file or a room of `lib/`, and what of `lib/` it may import besides itself.
 *
 * `wire` is a file or a whole room, `authorize/policy` is one file of a room, `*` is any name, and `type` in front
 * allows the types alone. What has no row may import nothing, and a new room begins with a row here.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  main: ["commands/command_line", "workers/work", "type workers/line"],
  // `explain` asks the rules and the token's verdict with no connection at hand, and `check` logs in to backends.
  commands: [
    ...["config", "workers", "listening", "observe", "authorize", "claims", "token"],
    ...["admission", "authenticate/way_in", "type authenticate", "backend_link", "connect", ...LEAVES],
    ...["backend_probe", "stream/server_certificate"],
  ],
  workers: [
    ...["proxy", "limits", "token_desk", "listening", "config", "session_tallies", "relay/cancel_keys"],
    ...["observe/event_loop_watch", "type observe", "type session_settings", "token", ...LEAVES],
  ],
  proxy: [
    ...["session", "session_tallies", "listeners", "login_settings", "relay/cancel_keys", "connect/saslprep"],
    ...["type limits", "type token_desk", "type session_settings", "type stream", "type observe"],
    ...["type config/*", ...LEAVES],
  ],
  session_tallies: ["type observe/census"],
  token_desk: ["type limits", "type token", ...LEAVES],
  login_settings: ["listening", "stream", "type session_settings", "type config/*"],
  listening: ["stream", "type listen_address"],
  listeners: ["listening", "stream", "type config/*", ...LEAVES],
  session: [
    "entrance",
    "chronicle",
    "tenure",
    "type relay",
    "type stream",
    "type session_settings",
    ...LEAVES,
  ],
  // A login in order: who has come, who they say they are, the way to the backend, and the word that they are in.
  entrance: [
    ...["reception", "identification", "admission", "backend_link", "welcome", "login_record", "login_trace"],
    ...["startup", "stream", "type relay", "type limits", "type chronicle", "type session_settings"],
    ...SPEECH,
  ],
  reception: [
    ...["startup", "stream", "type limits", "type chronicle", "type session_settings", "type stages"],
    ...SPEECH,
  ],
  identification: [
    ...["admission", "authenticate", "type limits", "type login_record", "type session_settings"],
    ...["type startup", "type stream", ...SPEECH],
  ],
  welcome: ["relay", "type backend_link", "type chronicle", "type stream", ...SPEECH],
  login_record: [
    ...["admission", "authenticate", "stages", "type chronicle", "type observe/events", "type startup"],
    ...SPEECH,
  ],
  login_trace: ["type chronicle", "type session_settings", "type stream", ...SPEECH],
  stages: ["type observe/events"],
  // How long a session may stay: the rules are asked once more, with no connection at hand.
  tenure: [
    ...[
      "authorize/decide",
      "idle_watch",
      "tenure_words",
      "type admission",
      "type authorize",
      "type chronicle",
      "type relay",
    ],
    ...["type session_settings", "type token_desk", ...LEAVES],
  ],
  idle_watch: ["tenure_words", "type authorize", "type relay", ...LEAVES],
  tenure_words: ["type authorize", "wire", ...LEAVES],
  chronicle: ["type session_settings", "type observe/events", "type stream", ...LEAVES],
  // The corridor in three parts: what sessions go by, who is let in where, and the way to the backend.
  session_settings: [
    ...["type backend_link", "type startup", "type token", "type authorize", "type relay", "type stream"],
    ...["type authenticate", "type limits", "type token_desk", "type observe/events", "type network"],
    "type timers",
    "type long_work",
  ],
  admission: [
    ...["token", "authorize", "connect", "type authenticate", "type backend_link", "type session_settings"],
    ...["type startup", "type stream", "type limits", "type token_desk", ...SPEECH],
  ],
  backend_link: ["backend_answers", "connect", "stream", ...SPEECH],
  backend_probe: ["backend_answers", "type backend_link", "connect", "stream", ...SPEECH],
  backend_answers: ["type backend_link", "connect", "stream", ...SPEECH],

  startup: SPEECH,
  authenticate: SPEECH,
  token: ["claims", ...SPEECH],
  authorize: ["claims", ...SPEECH],
  connect: SPEECH,
  limits: LEAVES,
  relay: ["wire", "stream", ...LEAVES],
  stream: ["wire", "type dialogue", ...LEAVES],

  // The schemas that the rooms own, and what a section is parsed into once and for all.
  config: [
    ...[
      "*/schema",
      "*/*_schema",
      "authorize/policy",
      "authorize/lifetime",
      "authenticate/way_in",
      "authenticate/challenge",
      ...LEAVES,
    ],
  ],
  observe: LEAVES,

  dialogue: ["type wire/message"],
  wire: ["errors", "sqlstate"],
  errors: ["sqlstate"],
  sqlstate: [],
  secret: [],
  mistake: [],
  printable: [],
  address: [],
  der: [],
  b64token: [],
  pem: [],
  network: ["mistake"],
  connection_maximum: [],
  accept_again: [],
  listen_address: ["network"],
  claims: ["mistake"],
  duration: [],
  timers: [],
  soon: [],
  long_work: ["timers", "type soon"],
};

/** Imports point one way. */
export const importDirection: Deno.lint.Rule = {
  create: (context) =>
    onImports((specifier, isTypeOnly, node) => {
      const importer = pathInHouse(context.filename);
      const room = importer && roomOf(importer);
      if (room === undefined || !specifier.startsWith(".")) return;
      const imported = join(dirname(importer as string), specifier);
      if (isAllowed(room, imported, isTypeOnly)) return;
      context.report({
        node,
        message: `${importer} may not import ${isTypeOnly ? "types of " : ""}${imported}`,
        hint: whatMayBeImported(room),
      });
    }),
};

/** The row of {@link MAY_IMPORT} that a file falls under; tests and tools fall under none. */
function roomOf(path: string): string | undefined {
  if (path === "main.ts") return "main";
  return path.startsWith("lib/") ? nameInLib(path).split("/")[0] : undefined;
}

function isAllowed(room: string, imported: string, isTypeOnly: boolean): boolean {
  if (room === "commands" && imported === "deno.json") return true; // its version is what --version prints
  if (!imported.startsWith("lib/")) return false;
  const name = nameInLib(imported);
  if (room !== "main" && name.split("/")[0] === room) return true;
  return (MAY_IMPORT[room] ?? []).some((allowed) => {
    const [pattern, kind] = allowed.split(" ").reverse();
    return (kind !== "type" || isTypeOnly) && matches(name, pattern);
  });
}

function matches(name: string, pattern: string): boolean {
  const isRoom = !pattern.includes("/");
  const expression = pattern.replaceAll("*", "[^/]+");
  return new RegExp(isRoom ? `^${expression}(/|$)` : `^${expression}$`).test(name);
}

function nameInLib(path: string): string {
  return path.replace(/^lib\//, "").replace(/\.ts$/, "");
}

function whatMayBeImported(room: string): string {
  const allowed = MAY_IMPORT[room];
  if (allowed === undefined) return `Give ${room} its row in MAY_IMPORT of tools/import_direction.ts`;
  return allowed.length === 0 ? `${room} imports nothing` : `${room} may import ${allowed.join(", ")}`;
}
