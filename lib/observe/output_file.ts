import { AppendedFile, type AppendedFileOptions } from "./appended_file.ts";
import type { OutputName, ProxyEvent } from "./events.ts";
import { LineWriter, type LineWriterOptions } from "./line_writer.ts";

/** What an {@link OutputFile} is for, and who is told what becomes of it. */
export interface OutputFileOptions extends LineWriterOptions, Pick<AppendedFileOptions, "retryMs" | "open"> {
  readonly output: OutputName;
  readonly report: (event: ProxyEvent) => void;
}

/**
 * The file of the log or of the audit trail. Whoever writes to it never waits. When the disk fails that is told once, lines
 * wait for it as long as there is room, and those that find none are counted.
 */
export class OutputFile implements AsyncDisposable {
  readonly path: string;
  readonly #options: OutputFileOptions;
  #file!: AppendedFile;
  #writer!: LineWriter;
  #isFailing = false;
  /** It could not be opened anew: what is written goes to wherever the old one has been moved. */
  #isOutdated = false;
  /** Of the lines lost: those of before anything failed, and those that were told. */
  #lostBefore = 0;
  #lostTold = 0;

  private constructor(path: string, options: OutputFileOptions) {
    this.path = path;
    this.#options = options;
  }

  /** Opens it, and makes it if it is not there. Rejects with the error of the system. */
  static async open(path: string, options: OutputFileOptions): Promise<OutputFile> {
    const output = new OutputFile(path, options);
    output.#file = await AppendedFile.open(path, {
      failed: (error) => output.#failed(error),
      written: () => output.#written(),
      retryMs: options.retryMs,
      open: options.open,
    });
    output.#writer = new LineWriter(output.#file, options);
    return output;
  }

  /** Takes one line, with its newline. */
  write(line: string): void {
    this.#writer.write(line);
  }

  /** Opens it anew by its path, for it may have been moved away. Never rejects. */
  async reopen(): Promise<void> {
    try {
      await this.#file.reopen();
      if (!this.#isOutdated) return;
      this.#isOutdated = false;
      if (!this.#isFailing) this.#resumed();
    } catch (error) {
      this.#isOutdated = true;
      this.#tellFailed(
        `it could not be opened anew, and the old one is still written to: ${messageOf(error)}`,
      );
    }
  }

  /** Writes what is waiting, as far as it can be written soon, and closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]();
    this.#file[Symbol.dispose]();
    // A write under way is over soon where the disk is full, and where it hangs it is waited for no longer than this.
    await this.#writer[Symbol.asyncDispose]();
  }

  #failed(error: unknown): void {
    if (!this.#isFailing) {
      this.#isFailing = true;
      this.#tellFailed(messageOf(error));
    }
    this.#tellLost();
  }

  #written(): void {
    this.#tellLost();
    const wasFailing = this.#isFailing;
    this.#isFailing = false;
    if (this.#isOutdated) return;
    if (wasFailing) this.#resumed();
    this.#lostBefore = this.#writer.linesLost;
  }

  #tellFailed(reason: string): void {
    const { output, report } = this.#options;
    report({ kind: "output_failed", output, path: this.path, reason });
  }

  #resumed(): void {
    const { output, report } = this.#options;
    const lines = this.#writer.linesLost - this.#lostBefore;
    report({ kind: "output_resumed", output, path: this.path, lines });
  }

  #tellLost(): void {
    const lines = this.#writer.linesLost - this.#lostTold;
    if (lines === 0) return;
    this.#lostTold += lines;
    const { output, report } = this.#options;
    report({ kind: "lines_lost", output, lines });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
