import { basename, dirname, join, relative } from "node:path/posix";
import { fileURLToPath } from "node:url";

/** Files at the top of `lib/` that anyone may use: they know nothing of a connection. */
const LEAVES = ["errors", "sqlstate", "secret", "duration"];

/** What every room on a connection's way speaks with. */
const SPEECH = ["wire", "dialogue", ...LEAVES];

/**
 * Who may import whom: a file or a room of `lib/`, and what of `lib/` it may import besides itself.
 *
 * `wire` is a file or a whole room, `connect/target` is one file of a room, `*` is any name, and `type` in front
 * allows the types alone. What has no row may import nothing, and a new room begins with a row here.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  main: ["commands", ...LEAVES],
  // `explain` asks the rules and the token's verdict with no connection at hand.
  commands: ["config", "proxy", "observe", "authorize", "token", ...LEAVES],
  proxy: ["session", "stream", "observe", "type config/*", ...LEAVES],
  session: [
    ...["backend_link", "startup", "authenticate", "token", "authorize", "connect", "relay", "stream"],
    ...["type observe/events", ...SPEECH],
  ],
  backend_link: ["connect", "stream", ...SPEECH],

  startup: SPEECH,
  authenticate: SPEECH,
  token: SPEECH,
  authorize: SPEECH,
  connect: SPEECH,
  relay: ["wire", "stream", ...LEAVES],
  stream: ["wire", "dialogue", ...LEAVES],

  // The schemas that the rooms own, and what a section is parsed into once and for all.
  config: [
    ...["*/schema", "*/*_schema", "authorize/policy", "authorize/template", "authorize/mistake"],
    ...["connect/target", "token/signing_keys", ...LEAVES],
  ],
  observe: LEAVES,

  dialogue: ["type wire/message"],
  wire: ["errors"],
  errors: ["sqlstate"],
  sqlstate: [],
  secret: [],
  duration: [],
};

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The rules of this house that `deno lint` does not know by itself. */
const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    /** Imports point one way: see {@link MAY_IMPORT}. */
    "import-direction": {
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
    },

    /** A dependency is named, and its version pinned, in deno.json alone. */
    "bare-specifier": {
      create: (context) =>
        onImports((specifier, _isTypeOnly, node) => {
          if (/^(\.\.?\/|node:|@?[a-z0-9])/.test(specifier) && !/^(?!node:)[a-z]+:/.test(specifier)) return;
          context.report({
            node,
            message: `"${specifier}" is not a bare specifier`,
            hint: "Add the dependency to the imports of deno.json and import it by its name there",
          });
        }),
    },

    /** Files are called as their main export, in snake_case; a test ends in `_test.ts`. */
    "snake-case-file": {
      create: (context) => ({
        Program(node) {
          const name = basename(context.filename);
          if (/^[a-z0-9]+(_[a-z0-9]+)*\.tsx?$/.test(name)) return;
          context.report({
            node,
            message: `the file name ${name} is not snake_case`,
            hint: "Name it after its main export, as startup_packet.ts, and its test startup_packet_test.ts",
          });
        },
      }),
    },

    /** A folder is its files: what is imported says where it lives. */
    "no-index": {
      create: (context) => ({
        Program(node) {
          const name = basename(context.filename);
          if (!["index.ts", "mod.ts"].includes(name)) return;
          context.report({
            node,
            message: `${name} hides what is in its folder`,
            hint: "Name the file after its main export and import that file",
          });
        },
      }),
    },

    /** Every export of `lib/` says in a doc comment what it is. */
    "documented-export": {
      create: (context) => {
        const check = (node: Deno.lint.ExportNamedDeclaration | Deno.lint.ExportDefaultDeclaration) => {
          if (!pathInHouse(context.filename)?.startsWith("lib/") || !node.declaration) return;
          if (hasDocComment(context.sourceCode.text.slice(0, node.range[0]))) return;
          context.report({ node, message: "an export has no doc comment", hint: "Say in a line what it is" });
        };
        return { ExportNamedDeclaration: check, ExportDefaultDeclaration: check };
      },
    },
  },
};

export default plugin;

/** Calls `visit` for every specifier that a module imports or exports from, whatever the syntax. */
function onImports(
  visit: (specifier: string, isTypeOnly: boolean, node: Deno.lint.Node) => void,
): Deno.lint.LintVisitor {
  return {
    ImportDeclaration: (node) => visit(node.source.value, isTypeImport(node), node),
    ExportAllDeclaration: (node) => visit(node.source.value, node.exportKind === "type", node),
    ExportNamedDeclaration(node) {
      if (node.source) visit(node.source.value, node.exportKind === "type", node);
    },
    ImportExpression(node) {
      const { source } = node;
      if (source.type === "Literal" && typeof source.value === "string") visit(source.value, false, node);
    },
    TSImportType(node) {
      if (node.argument.type === "TSLiteralType" && node.argument.literal.type === "Literal") {
        visit(String(node.argument.literal.value), true, node);
      }
    },
  };
}

function isTypeImport(node: Deno.lint.ImportDeclaration): boolean {
  const isType = (specifier: Deno.lint.Node) =>
    specifier.type === "ImportSpecifier" && specifier.importKind === "type";
  return node.importKind === "type" || (node.specifiers.length > 0 && node.specifiers.every(isType));
}

/** Whether source code ends in a doc comment, behind which only remarks of one line may stand. */
function hasDocComment(before: string): boolean {
  const comment = before.replace(/(\n[ \t]*\/\/[^\n]*)*\s*$/, "");
  return comment.endsWith("*/") && comment.startsWith("/**", comment.lastIndexOf("/*"));
}

/** A file's path from the root of the repository, with no extension; `undefined` when it is elsewhere. */
function pathInHouse(filename: string): string | undefined {
  const path = relative(ROOT, filename);
  return path.startsWith("..") ? undefined : path;
}

/** The row of {@link MAY_IMPORT} that a file falls under; tests and tools fall under none. */
function roomOf(path: string): string | undefined {
  if (path === "main.ts") return "main";
  return path.startsWith("lib/") ? nameInLib(path).split("/")[0] : undefined;
}

function isAllowed(room: string, imported: string, isTypeOnly: boolean): boolean {
  if (room === "main" && imported === "deno.json") return true; // its version is what --version prints
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
  if (allowed === undefined) return `Give ${room} its row in MAY_IMPORT of tools/lint_plugin.ts`;
  return allowed.length === 0 ? `${room} imports nothing` : `${room} may import ${allowed.join(", ")}`;
}
