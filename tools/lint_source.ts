import { dirname, join, relative } from "node:path/posix";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** A file's path from the root of the repository; `undefined` when it is elsewhere. */
export function pathInHouse(filename: string): string | undefined {
  const path = relative(ROOT, filename);
  return path.startsWith("..") ? undefined : path;
}

/** Calls `visit` for every specifier that a module imports or exports from, whatever the syntax. */
export function onImports(
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
export function hasDocComment(before: string): boolean {
  const comment = before.replace(/(\n[ \t]*\/\/[^\n]*)*\s*$/, "");
  return comment.endsWith("*/") && comment.startsWith("/**", comment.lastIndexOf("/*"));
}
