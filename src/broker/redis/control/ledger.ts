/**
 * The ledger: a hash in Redis of which each instance has a whole copy. Changes come by the log of orders, one version after
 * another; where one is missing the hash is read whole. What Redis has lost is put back by an instance that still knows it.
 */
import { errors } from "../../../core/codes.ts";
import { ProtocolError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/logger.ts";
import type { Ledger, LedgerChanges } from "../../../core/shared.ts";
import { ByteWriter } from "../../../lib/byte-writer.ts";
import type { Clock } from "../../../lib/clock.ts";
import { type Calls, randomName } from "../calls.ts";
import { scripts } from "../scripts.ts";

const key = "tc1:{all}:ledger";
/** A copy older than this is not put back: what was revoked meanwhile must not come back with it. */
const restoreMs = 60_000;

export interface LedgerParts {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Reads the log of orders, as far as it reaches now. */
  readonly readOrders: () => Promise<void>;
}

/** What stands in the log of orders for one commit. Null: read it all. */
export interface CommitEntry {
  readonly epoch: string;
  readonly version: number;
  readonly changes: readonly (readonly [string, string | null])[] | null;
}

interface Stamp {
  readonly epoch: string;
  readonly version: number;
}

export class RedisLedger implements Ledger {
  readonly records = new Map<string, string>();
  revision = 0;
  readonly #parts: LedgerParts;
  readonly #writer = new ByteWriter();
  #stamp: Stamp = { epoch: "", version: 0 };
  /** When the copy was last known to be what Redis has. */
  #currentMs = -Infinity;
  /** One after the other: what was read earlier never overwrites what was committed later. */
  #work: Promise<unknown> = Promise.resolve();
  #checking: Promise<void> | null = null;
  #listener: ((changes: LedgerChanges | null) => void) | null = null;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  ageMs(): number {
    return this.#parts.clock.monotonicMs() - this.#currentMs;
  }

  onChange(listener: (changes: LedgerChanges | null) => void): void {
    this.#listener = listener;
  }

  async catchUp(): Promise<void> {
    await this.#parts.readOrders();
    await this.check();
  }

  /** Compares the copy with Redis. Those who ask before it is begun share one answer. */
  check(): Promise<void> {
    this.#checking ??= this.#queue(() => {
      this.#checking = null;
      return this.#check();
    });
    return this.#checking;
  }

  commit(revision: number, changes: LedgerChanges): Promise<boolean> {
    return this.#queue(async () => {
      if (revision !== this.revision) return false;
      const before = this.#stamp;
      const epoch = before.epoch === "" ? randomName() : before.epoch;
      const after = { epoch, version: before.version + 1 };
      if (await this.#send(before, after, changes)) {
        this.#apply(after, changes);
        return true;
      }
      await this.#check();
      return false;
    });
  }

  /** A commit of some instance, as it stands in the log of orders. */
  async heard({ epoch, version, changes }: CommitEntry): Promise<void> {
    await this.#queue(async () => {
      const { epoch: known, version: top } = this.#stamp;
      if (epoch === known && version <= top) return;
      const isNext = version === top + 1 && (epoch === known || known === "");
      if (changes !== null && isNext) this.#apply({ epoch, version }, new Map(changes));
      else await this.#check();
    });
  }

  #queue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#work.then(run);
    this.#work = result.catch(() => {});
    return result;
  }

  async #check(): Promise<void> {
    const begunMs = this.#parts.clock.monotonicMs();
    const reply = await this.#parts.calls.command(["HMGET", key, "epoch", "version"]);
    const [epoch, version] = texts(reply);
    const there: Stamp = { epoch: epoch ?? "", version: Number(version ?? 0) };
    const here = this.#stamp;
    if (there.epoch !== here.epoch || there.version !== here.version) {
      const isLost =
        here.epoch !== "" && (there.epoch === "" || (there.epoch === here.epoch && there.version < here.version));
      if (isLost && this.records.size > 0 && this.ageMs() <= restoreMs) await this.#restore(there);
      else await this.#readAll();
    }
    this.#currentMs = begunMs;
  }

  async #readAll(): Promise<void> {
    const fields = texts(await this.#parts.calls.command(["HGETALL", key]));
    const read = new Map<string, string>();
    for (let i = 0; i < fields.length; i += 2) read.set(fields[i] ?? "", fields[i + 1] ?? "");
    this.#stamp = { epoch: read.get("epoch") ?? "", version: Number(read.get("version") ?? 0) };
    read.delete("epoch");
    read.delete("version");
    this.records.clear();
    for (const [name, value] of read) this.records.set(name, value);
    this.revision++;
    this.#listener?.(null);
  }

  /** Redis has lost what is known here: the first instance to notice puts it back, under a new epoch. */
  async #restore(there: Stamp): Promise<void> {
    const after = { epoch: randomName(), version: 1 };
    if (!(await this.#send(there, after, this.records))) return this.#readAll();
    this.#stamp = after;
    this.revision++;
    this.#parts.logger.warn("Redis had lost the managed tokens and revocations, they were put back", {
      records: this.records.size,
    });
  }

  async #send(before: Stamp, after: Stamp, changes: LedgerChanges): Promise<boolean> {
    const { calls } = this.#parts;
    const entry: CommitEntry = { ...after, changes: changes === this.records ? null : [...changes] };
    calls.begin(this.#writer);
    const reply = await calls.send(scripts.ledger, "all", this.#writer, [
      ...[before.epoch, String(before.version), after.epoch, String(after.version), JSON.stringify({ commit: entry })],
      ...[...changes].flatMap(([name, value]) => [name, value === null ? "-" : `+${value}`]),
    ]);
    return reply === 1;
  }

  #apply(stamp: Stamp, changes: LedgerChanges): void {
    this.#stamp = stamp;
    for (const [name, value] of changes) {
      if (value === null) this.records.delete(name);
      else this.records.set(name, value);
    }
    this.revision++;
    this.#listener?.(changes);
  }
}

/** A list of strings, or names and values one after the other, as Redis answers it. @throws ProtocolError where it is something else */
export function texts(reply: unknown): (string | undefined)[] {
  if (typeof reply !== "object" || reply === null) {
    throw new ProtocolError(errors.unavailable, "Redis answers in an unknown way");
  }
  const list: readonly unknown[] = Array.isArray(reply) ? reply : Object.entries(reply).flat();
  return list.map((text) => (text instanceof Buffer || typeof text === "string" ? text.toString() : undefined));
}
