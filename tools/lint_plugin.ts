import { basename } from "node:path/posix";
import { importDirection } from "./import_direction.ts";
import { hasDocComment, onImports, pathInHouse } from "./lint_source.ts";

/** The rules of this house that `deno lint` does not know by itself. */
const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "import-direction": importDirection,

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

    /** Sockets are touched in `stream/` alone; what `observe/` serves to operators is no connection of a client. */
    "sockets-in-stream": {
      create(context) {
        const path = pathInHouse(context.filename) ?? "";
        const mayTouchSockets = !path.startsWith("lib/") || /^lib\/(stream|observe)\//.test(path);
        const report = (node: Deno.lint.Node, what: string) => {
          const hint = "Ask for it in the dialogue, or take a ByteStream";
          if (!mayTouchSockets) context.report({ node, message: `${what} is used outside stream/`, hint });
        };
        return {
          ...onImports((specifier, isTypeOnly, node) => {
            if (!isTypeOnly && /^node:(net|tls|http|https|http2|dgram)$/.test(specifier)) {
              report(node, specifier);
            }
          }),
          "MemberExpression[object.name='Deno']"(node: Deno.lint.MemberExpression) {
            const name = node.property.type === "Identifier" ? node.property.name : "";
            if (/^(connect|connectTls|startTls|listen|listenTls|listenDatagram|serve)$/.test(name)) {
              report(node, `Deno.${name}`);
            }
          },
        };
      },
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
