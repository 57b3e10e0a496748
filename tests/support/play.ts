import assert from "node:assert/strict";
import type { Dialogue, Question } from "../../lib/dialogue.ts";
import { Framing } from "../../lib/wire/framing.ts";
import { decodeMessage } from "../../lib/wire/message.ts";
import { protocolViolation } from "../../lib/errors.ts";

/** One step of a script that a dialogue is played against. */
export type Step =
  | { readonly step: "says"; readonly bytes: Uint8Array }
  | { readonly step: "hears"; readonly bytes: Uint8Array }
  | { readonly step: "answers"; readonly question: string; readonly by: (input: unknown) => unknown };

/** The peer says these bytes. */
export function says(bytes: Uint8Array): Step {
  return { step: "says", bytes };
}

/** The peer hears exactly these bytes. */
export function hears(bytes: Uint8Array): Step {
  return { step: "hears", bytes };
}

/** The outside answers a question; `by` may check what it is asked, and may throw. */
export function answers<I, O>(question: Question<I, O>, by: (input: I) => O): Step {
  return { step: "answers", question: question.question, by: by as (input: unknown) => unknown };
}

/**
 * Plays a dialogue against a script, with no sockets: it returns what the dialogue returns, throws what it throws,
 * and fails when the two do not fit or the script is not used up.
 */
export function play<T>(dialogue: Dialogue<T>, script: readonly Step[]): T {
  const steps = [...script];
  const framing = new Framing();
  let result = dialogue.next();
  while (!result.done) {
    const resume = reply(result.value, steps, framing);
    result = resume.ok ? dialogue.next(resume.value) : dialogue.throw(resume.error);
  }
  assert.deepEqual(steps, [], "the dialogue ended before its script");
  return result.value;
}

type Resumption = { readonly ok: true; readonly value: unknown } | {
  readonly ok: false;
  readonly error: unknown;
};

type AnyAsk = ReturnType<Dialogue<unknown>["next"]>["value"] & { ask: string };

function reply(given: unknown, steps: Step[], framing: Framing): Resumption {
  try {
    return { ok: true, value: replyTo(given as AnyAsk, steps, framing) };
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return { ok: false, error };
  }
}

// deno-lint-ignore no-explicit-any
function replyTo(ask: any, steps: Step[], framing: Framing): unknown {
  switch (ask.ask) {
    case "send": {
      const step = expectStep(steps, "hears");
      assert.deepEqual(ask.bytes, step.bytes, "the dialogue sent other bytes");
      return undefined;
    }
    case "receive":
      for (;;) {
        const frame = framing.take(ask.expected);
        if (frame !== null) return decodeMessage(frame.message, frame.body);
        framing.push(expectStep(steps, "says").bytes);
      }
    case "receiveByte":
      if (framing.buffered === 0) framing.push(expectStep(steps, "says").bytes);
      return framing.takeByte();
    case "peekByte":
      if (framing.buffered === 0 && steps[0]?.step === "says") {
        framing.push(expectStep(steps, "says").bytes);
      }
      return framing.peek() ?? null;
    case "nothingBuffered":
      if (framing.buffered > 0) throw protocolViolation(`received data after ${ask.after}`);
      return undefined;
    case "question": {
      const step = expectStep(steps, "answers");
      assert.equal(ask.question.question, step.question, "the dialogue asked something else");
      return step.by(ask.input);
    }
  }
}

function expectStep<S extends Step["step"]>(steps: Step[], kind: S): Extract<Step, { step: S }> {
  const step = steps.shift();
  assert.equal(
    step?.step,
    kind,
    `the script says ${step?.step ?? "nothing more"}, the dialogue wants ${kind}`,
  );
  return step as Extract<Step, { step: S }>;
}
