import { Buffer } from "node:buffer";

/** How {@link linesOf} takes a stream apart. */
export interface LineLimits {
  /** Longest line, without its newline. */
  readonly maxBytes: number;
  /** Called once for each longer line; of that only the beginning is yielded. */
  readonly onLong?: () => void;
}

const NEWLINE = 0x0a;

/** The lines of a stream without their newlines; a last one may lack it. Holds no more than one line. */
export async function* linesOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { maxBytes, onLong = () => {} }: LineLimits,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const add = (part: Uint8Array) => {
    if (length <= maxBytes && length + part.length > maxBytes) onLong();
    const room = Math.max(0, maxBytes - length);
    if (room > 0 && part.length > 0) parts.push(part.subarray(0, room));
    length += part.length;
  };
  const take = () => {
    const line = Buffer.concat(parts);
    parts = [];
    length = 0;
    return line;
  };
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    let rest = read.value;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      add(rest.subarray(0, end));
      yield take();
      rest = rest.subarray(end + 1);
    }
    add(rest);
  }
  if (length > 0) yield take();
}
