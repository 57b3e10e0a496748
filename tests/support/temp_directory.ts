/** A directory of the test's own, removed when it goes out of scope. */
export interface TempDirectory extends AsyncDisposable {
  readonly path: string;
  /** Writes a file below the directory and returns its path; the default mode is 0600, fit for keys. */
  write(name: string, content: string, mode?: number): Promise<string>;
}

/** Makes a {@link TempDirectory}. */
export async function tempDirectory(): Promise<TempDirectory> {
  const path = await Deno.makeTempDir({ prefix: "pg-auth-proxy-test-" });
  return {
    path,
    async write(name, content, mode = 0o600) {
      const file = `${path}/${name}`;
      await Deno.writeTextFile(file, content, { mode });
      return file;
    },
    async [Symbol.asyncDispose]() {
      await Deno.remove(path, { recursive: true });
    },
  };
}
