import type { Assignment } from "./calls.ts";
import { answerOf } from "./line.ts";
import { type Member, messageOf } from "./member.ts";

/** Workers that could go on by another configuration. */
export class PreparedMembers {
  readonly #members: Member[] = [];
  readonly #ports: Map<string, number>;

  private constructor(ports: ReadonlyMap<string, number>) {
    this.#ports = new Map(ports);
  }

  /**
   * Makes sure that each of them can; `ports` are those of before.
   *
   * @throws {CannotServe} when one of them cannot; then all stay with the old one
   */
  static async prepare(
    members: readonly Member[],
    { ports, ...about }: Omit<Assignment, "sharing"> & { readonly ports: ReadonlyMap<string, number> },
  ): Promise<PreparedMembers> {
    const prepared = new PreparedMembers(ports);
    try {
      // One after the other: the first finds out whether new addresses are free, and which ports there are.
      for (const member of members) await prepared.#prepareOne(member, about);
      return prepared;
    } catch (error) {
      prepared.discard();
      throw error;
    }
  }

  /** The port of each address, of those of before too. */
  get ports(): ReadonlyMap<string, number> {
    return this.#ports;
  }

  /** Has each go on by it: `adopted` settles when all do, `loginsOver` when no login goes by the old one any more. */
  adopt(): { readonly adopted: Promise<unknown>; readonly loginsOver: Promise<unknown> } {
    const adopted = this.#members.map((member) =>
      member.line.ask("adopt", null).catch((error) => member.lose(messageOf(error)))
    );
    const over = this.#members.map(({ line }) => answerOf(line.ask("loginsOver", null)));
    return { adopted: Promise.all(adopted), loginsOver: Promise.all(over) };
  }

  /** All stay with the old one. */
  discard(): void {
    for (const { line } of this.#members) line.tell("discard", null);
  }

  async #prepareOne(member: Member, about: Omit<Assignment, "sharing">): Promise<void> {
    const sharing = { isFirst: this.#members.length === 0, ports: this.#ports };
    const found = await answerOf(member.line.ask("prepare", { ...about, sharing }));
    // One that is lost will be started with whatever is served then.
    if (found === null) return;
    this.#members.push(member);
    for (const [name, port] of found) this.#ports.set(name, port);
  }
}
