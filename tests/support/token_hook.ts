import { hasLibpq18, type Libpq18Name } from "./libpq18.ts";
import { hasCompiler } from "./oauth_validator.ts";

/**
 * Registers a test in which a program of PostgreSQL 18 has the token already, by a {@link TokenHook}; without the program
 * or a C compiler it is ignored, and its name says what is missing.
 */
export function testWithTokenHook(
  name: string,
  program: Libpq18Name,
  test: (context: Deno.TestContext) => Promise<void>,
): void {
  const missing = [
    ...(hasLibpq18(program) ? [] : [`${program} 18: set PSQL18_BIN to the directory of one`]),
    ...(hasCompiler() ? [] : ["cc: install a C compiler"]),
  ];
  if (missing.length === 0) Deno.test(name, test);
  else Deno.test({ name: `${name} (needs ${missing.join(", and ")})`, ignore: true, fn() {} });
}

/** A library that answers libpq's question for a token, compiled for as long as it is in scope. */
export class TokenHook implements AsyncDisposable {
  readonly #library: string;

  private constructor(library: string) {
    this.#library = library;
  }

  /** Compiles the library. */
  static async compile(): Promise<TokenHook> {
    const library = await Deno.makeTempFile({ prefix: "token_hook-", suffix: ".so" });
    const hook = new TokenHook(library);
    const source = new URL("token_hook.c", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command("cc", {
      args: ["-O1", "-fPIC", "-shared", "-o", library, source],
    }).output();
    if (success) return hook;
    await hook[Symbol.asyncDispose]();
    throw new Error(new TextDecoder().decode(stderr));
  }

  /** Environment in which programs of libpq 18 present this token. */
  environment(token: string): Record<string, string> {
    return { LD_PRELOAD: this.#library, OAUTH_TEST_TOKEN: token };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#library);
  }
}
