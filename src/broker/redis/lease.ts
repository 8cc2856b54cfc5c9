/**
 * The lease that this instance's members hang on. It is of an incarnation: one that finds its lease expired takes another,
 * since others are already telling that its members left, and registers everything anew. Also sees to the members of
 * instances whose lease has run out.
 */
import { ByteWriter } from "../../lib/byte-writer.ts";
import { type Calls, randomName } from "./calls.ts";
import { UnusableError } from "./connect.ts";
import type { MemberRegistry } from "./members.ts";
import { scripts } from "./scripts.ts";

/** How long members of an instance stay when nothing is heard of it. */
export const leaseMs = 5000;

export interface LeaseParts {
  readonly calls: Calls;
  readonly slotLevels: number;
  /** Told of the number that the heartbeat message will carry, before it is sent. */
  readonly onBeat: (call: number) => void;
  /** What Redis held of this instance is gone: it was away for too long, or everything was lost. */
  readonly onExpired: () => void;
  readonly onTrouble: (error: unknown) => void;
}

export class Lease {
  readonly #parts: LeaseParts;
  readonly #writer = new ByteWriter();
  /** Slot keys that Redis knows the incarnation may have members in. */
  readonly #slots = new Set<number>();
  readonly #announcing = new Map<number, Promise<void>>();
  #members: MemberRegistry | null = null;
  /** False: no beat of this incarnation has been answered yet. */
  #begun = false;
  #renewing: Promise<void> | null = null;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
  }

  /** Whose members these are. */
  bind(members: MemberRegistry): void {
    this.#members = members;
    members.begin(randomName());
  }

  /** Renews the lease. @throws UnusableError where other instances use other slot levels */
  async beat(slots: readonly number[] = []): Promise<void> {
    const { calls, slotLevels, onBeat, onExpired } = this.#parts;
    const members = this.#registry();
    const { incarnation } = members;
    const writer = this.#writer;
    onBeat(calls.begin(writer));
    writer.utf8(incarnation);
    writer.f64(leaseMs);
    writer.u16(slots.length);
    for (const slot of slots) writer.u16(slot);
    const reply = await calls.send(scripts.heartbeat, "all", writer);
    const [levels, held, ...dead] = reply as [number, number, ...unknown[]];
    if (levels !== slotLevels) {
      throw new UnusableError(
        `The instances on this Redis use slot-levels ${levels}, this one ${slotLevels}: all must use the same`,
      );
    }
    for (let i = 0; i < dead.length; i += 2) this.#bury(String(dead[i]), (dead[i + 1] as Buffer[]).map(Number));
    if (members.incarnation !== incarnation) return;
    if ((held === 1 && !members.isObsolete) || !this.#begun) {
      this.#begun = true;
      for (const slot of slots) this.#slots.add(slot);
      return;
    }
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
    await this.#renewing;
    onExpired();
  }

  /** Settles once Redis knows that there may be members in a slot key; nothing where it knows already. */
  announce(slot: number): Promise<void> | void {
    if (this.#slots.has(slot)) return;
    let announcing = this.#announcing.get(slot);
    if (announcing === undefined) {
      announcing = this.#announceSoon(slot).finally(() => this.#announcing.delete(slot));
      this.#announcing.set(slot, announcing);
    }
    return announcing;
  }

  async #announceSoon(slot: number): Promise<void> {
    await this.beat([slot]);
    if (!this.#slots.has(slot)) await this.beat([slot]);
  }

  /** The members of this instance leave, as far as Redis can be told. */
  async end(): Promise<void> {
    const { incarnation } = this.#registry();
    await this.#finish(incarnation, [...this.#slots]);
  }

  async #renew(): Promise<void> {
    const members = this.#registry();
    const old = members.incarnation;
    const slots = [...this.#slots];
    this.#slots.clear();
    this.#begun = false;
    members.begin(randomName());
    // Before anybody joins again: the leaves that follow the old lease must not come after that.
    await this.#finish(old, slots);
    await this.beat();
    await members.retell();
  }

  #bury(incarnation: string, slots: readonly number[]): void {
    this.#finish(incarnation, slots).catch(this.#parts.onTrouble);
  }

  async #finish(incarnation: string, slots: readonly number[]): Promise<void> {
    const members = this.#registry();
    await Promise.all(slots.map((slot) => members.end(incarnation, slot)));
    const { calls } = this.#parts;
    await calls.command(["DEL", `tc1:{all}:of:${incarnation}`, `tc1:{all}:claim:${incarnation}`]);
    await calls.command(["ZREM", "tc1:{all}:leases", incarnation]);
  }

  #registry(): MemberRegistry {
    if (this.#members === null) throw new Error("Bug: a lease without members");
    return this.#members;
  }
}
