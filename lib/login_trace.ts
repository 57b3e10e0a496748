import { Buffer } from "node:buffer";
import type { Chronicle } from "./chronicle.ts";
import type { Secret } from "./secret.ts";
import type { SessionHouse } from "./session_settings.ts";
import type { ChannelTrace } from "./stream/channel.ts";
import { type Direction, traceFrame } from "./wire/trace.ts";

/** The messages of one login, shown to the observer as they pass: `log.level = "trace"`. */
export class LoginTrace {
  readonly #house: SessionHouse;
  readonly #chronicle: Chronicle;
  #secret?: Secret;

  constructor(chronicle: Chronicle, house: SessionHouse) {
    this.#chronicle = chronicle;
    this.#house = house;
  }

  /** The token goes to a backend, which may say it again: from here on no message shows it. */
  blot(token: Secret | undefined): void {
    this.#secret = token;
  }

  /** What passes between us and a peer; `directions` are ours and the peer's. */
  of(
    peer: "client" | "backend",
    [ours, theirs]: readonly [Direction, Direction],
  ): ChannelTrace | undefined {
    if (!this.#house.isTracing) return undefined;
    const show = (direction: Direction) => (bytes: Uint8Array) => {
      const message = traceFrame(direction, blotted(bytes, this.#secret));
      this.#chronicle.note({ kind: "message_traced", peer, message });
    };
    return { sent: show(ours), received: show(theirs) };
  }
}

/** The bytes with asterisks in the secret's place: the messages are as long as they were. */
function blotted(bytes: Uint8Array, secret: Secret | undefined): Uint8Array {
  const hidden = Buffer.from(secret?.reveal() ?? "");
  if (hidden.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(hidden); at >= 0; at = copy.indexOf(hidden, at + hidden.length)) {
    copy.fill("*", at, at + hidden.length);
  }
  return copy;
}
