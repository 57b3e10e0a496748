// In: what a frontend sends. Out: what PostgreSQL would answer, and what it would have done for good by then.
// Chapter: https://www.postgresql.org/docs/18/protocol-flow.html
import assert from "node:assert/strict";
import type { ByteStream } from "../../lib/stream/byte_stream.ts";
import { bytesOf, message } from "./scene.ts";

/**
 * A backend that keeps to the protocol: one ReadyForQuery for each Query and Sync, nothing from an error to its Sync, and
 * in copy-in mode no ear for Sync and Flush.
 *
 * Statements are words: `begin`, `commit`, `fail`, `copy…`; any other is done, and done for good when it is committed.
 */
export class ModelBackend {
  /** Bytes of a message that is not whole. */
  rest: Uint8Array = new Uint8Array(0);
  /** The statements that were committed. */
  readonly done: string[] = [];
  #pending: string[] = [];
  #status = "I";
  #prepared = "";
  #isSkipping = false;
  #copying: "by Query" | "by Execute" | null = null;

  /** A transaction is open, be it one that a Sync is to end. */
  get isInTransaction(): boolean {
    return this.#status !== "I" || this.#pending.length > 0 || this.#copying !== null;
  }

  /** Takes bytes, and gives the messages that answer them. */
  take(chunk: Uint8Array): Uint8Array[] {
    this.rest = concat(this.rest, chunk);
    const answers: Uint8Array[] = [];
    while (this.rest.length >= 5) {
      const length = 1 + new DataView(this.rest.buffer).getInt32(1);
      if (this.rest.length < length) break;
      answers.push(...this.#answer(String.fromCharCode(this.rest[0]), this.rest.subarray(5, length)));
      this.rest = this.rest.slice(length);
    }
    return answers;
  }

  #answer(type: string, body: Uint8Array): Uint8Array[] {
    const text = new TextDecoder().decode(body).replaceAll("\0", "");
    if (this.#copying !== null) return this.#copy(type);
    switch (type) {
      case "S":
        this.#isSkipping = false;
        if (this.#status === "I") this.#commit();
        return [this.#ready()];
      case "X":
        return [];
    }
    if (this.#isSkipping) return [];
    switch (type) {
      case "Q":
        return this.#query(text);
      case "P":
        this.#prepared = text;
        return [message("1", "")];
      case "B":
        return [message("2", "")];
      case "E":
        return this.#execute(this.#prepared);
    }
    return [];
  }

  #query(text: string): Uint8Array[] {
    if (text.startsWith("copy")) {
      this.#copying = "by Query";
      return [message("G", "\0\0\0")];
    }
    if (text === "begin") this.#status = "T";
    else if (text === "commit") this.#end();
    else if (text === "fail" || this.#status === "E") return [this.#fail(), this.#ready()];
    else this.#pending.push(text);
    if (this.#status === "I") this.#commit();
    return [message("C", `${text}\0`), this.#ready()];
  }

  #execute(text: string): Uint8Array[] {
    if (text.startsWith("copy")) {
      this.#copying = "by Execute";
      return [message("G", "\0\0\0")];
    }
    if (text === "fail" || this.#status === "E") {
      this.#isSkipping = true;
      return [this.#fail()];
    }
    this.#pending.push(text);
    return [message("C", `${text}\0`)];
  }

  #copy(type: string): Uint8Array[] {
    if (type !== "c" && type !== "f") return [];
    const wasByQuery = this.#copying === "by Query";
    this.#copying = null;
    const answers = [type === "c" ? message("C", "copy\0") : this.#fail()];
    if (type === "c") this.#pending.push("copy");
    else this.#isSkipping = !wasByQuery;
    if (!wasByQuery) return answers;
    if (this.#status === "I") this.#commit();
    return [...answers, this.#ready()];
  }

  #fail(): Uint8Array {
    this.#pending = [];
    if (this.#status === "T") this.#status = "E";
    return message("E", "SERROR\0C42601\0\0");
  }

  #end(): void {
    if (this.#status === "E") this.#pending = [];
    this.#status = "I";
  }

  #commit(): void {
    this.done.push(...this.#pending);
    this.#pending = [];
  }

  #ready(): Uint8Array {
    return message("Z", this.#status);
  }
}

/** What a {@link ModelBackend} has seen when its frontend has ended. */
export interface Served {
  readonly bytes: Uint8Array;
  readonly model: ModelBackend;
}

/** Answers as the model does, each answer in pieces, until the frontend ends. */
export async function serve(stream: ByteStream): Promise<Served> {
  const model = new ModelBackend();
  const chunks: Uint8Array[] = [];
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) {
    chunks.push(chunk.slice());
    const answer = concat(...model.take(chunk));
    // Cut at a place that is no boundary.
    const middle = Math.max(0, answer.length - 4);
    if (middle > 0) await stream.write(answer.slice(0, middle));
    await stream.write(answer.slice(middle));
  }
  await stream.end();
  return { bytes: concat(...chunks), model };
}

/** What a backend answers, as {@link nameOf} has it, and how many bytes were left over. */
export function answersTo(bytes: Uint8Array): { readonly answers: readonly string[]; readonly rest: number } {
  const model = new ModelBackend();
  const answers = model.take(bytes).map(nameOf);
  return { answers, rest: model.rest.length };
}

/** The messages that come until the end; a cut one fails the test. */
export async function messagesOf(stream: ByteStream) {
  let rest = Uint8Array.from(await bytesOf(stream));
  const messages = [];
  while (rest.length > 0) {
    const length = 1 + new DataView(rest.buffer, rest.byteOffset).getInt32(1);
    assert(rest.length >= length, "the last message is cut");
    const bytes = rest.subarray(0, length);
    messages.push({ type: String.fromCharCode(bytes[0]), name: nameOf(bytes), length });
    rest = rest.subarray(length);
  }
  return messages;
}

/** A message of the backend in short: `Cinsert`, `E57P01`, `ZI`, or its type. */
export function nameOf(bytes: Uint8Array): string {
  const type = String.fromCharCode(bytes[0]);
  const text = new TextDecoder().decode(bytes.subarray(5));
  if (type === "E") return type + text.split("\0").find((field) => field.startsWith("C"))!.slice(1);
  return type === "Z" || type === "C" ? type + text.replace("\0", "") : type;
}

/** All bytes in one piece. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
