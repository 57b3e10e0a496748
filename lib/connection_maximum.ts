import * as v from "valibot";

const MOST = 1_000_000;
const MESSAGE = `must be a whole number from 1 to ${MOST}; leave it out for no limit`;

/** Schema of how many connections there may be of something at a time. */
export const connectionMaximum = v.pipe(
  v.number(MESSAGE),
  v.integer(MESSAGE),
  v.minValue(1, MESSAGE),
  v.maxValue(MOST, MESSAGE),
);
