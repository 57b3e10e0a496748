const utf8 = new TextEncoder();

/** What {@link bytes} joins. */
export type Field = number | string | Uint8Array | readonly number[];

/** Joins bytes written field by field: a number is one byte, a string is its UTF-8 without a terminating zero. */
export function bytes(...fields: readonly Field[]): Uint8Array {
  return Uint8Array.from(fields.flatMap((field) => {
    if (typeof field === "number") return [field];
    return typeof field === "string" ? [...utf8.encode(field)] : [...field];
  }));
}

/** A 16-bit integer in network order. */
export function int16(value: number): readonly number[] {
  return [(value >>> 8) & 0xff, value & 0xff];
}

/** A 32-bit integer in network order. */
export function int32(value: number): readonly number[] {
  return [...int16(value >>> 16), ...int16(value)];
}
