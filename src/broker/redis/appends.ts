/** Appending: what a turn publishes becomes calls of bounded size, and their replies the answers of its batches. */
import type { ErrorCode } from "../../core/codes.ts";
import { errors } from "../../core/codes.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { Answer, Appended, AppendedPosition, Batch, Draft } from "../broker.ts";
import { keptSize } from "../memory/log.ts";
import { callBytesMax, callPartsMax, type Calls, isUnavailable } from "./calls.ts";
import { entryOverhead } from "../entry.ts";
import { writeMessages } from "./entry.ts";
import type { Places } from "./keys.ts";
import type { OwnBatches } from "./own-batches.ts";
import { scripts } from "./scripts.ts";

/** Messages of one part: what Lua can hand to one command. */
const partDraftsMax = 2000;
const noKey = 0xffff;
/** A part beside its place and messages. */
const partOverhead = 64;

/** Some drafts of a batch, one after the other. */
export interface Part {
  readonly batch: Batch;
  /** Index of the batch in the call of `append`. */
  readonly of: number;
  readonly from: number;
  readonly to: number;
}

/** What goes into one call. */
interface Gathered {
  readonly slot: number;
  parts: Part[];
  bytes: number;
}

export interface AppendsParts {
  readonly calls: Calls;
  readonly places: Places;
  readonly own: OwnBatches;
  readonly idempotencyWindowMs: number;
}

export class Appends {
  readonly #parts: AppendsParts;
  readonly #writer = new ByteWriter(callBytesMax);
  /** Messages refused since Redis was away. */
  refused = 0;

  constructor(parts: AppendsParts) {
    this.#parts = parts;
  }

  /** `ready`: whether Redis is there. */
  append(ready: boolean, batches: readonly Batch[]): Answer<readonly Appended[]> {
    const outcome = new Outcome(batches);
    if (ready && this.#parts.calls.open) {
      this.#sendAll(batches, outcome);
      return outcome.answer();
    }
    for (const [index, { drafts }] of batches.entries()) {
      this.refused += drafts.length;
      outcome.fail(index, errors.unavailable);
    }
    return outcome.answers;
  }

  #sendAll(batches: readonly Batch[], outcome: Outcome): void {
    const groups = new Map<number, Gathered>();
    for (const [of, batch] of batches.entries()) {
      if (keptSize(batch.rule) === 0) {
        outcome.fail(of, errors.noHistory);
        continue;
      }
      const { slot } = this.#parts.places.of(batch.app, batch.tag);
      const group = this.#parts.calls.groupOf(slot);
      let gathered = groups.get(group);
      if (gathered === undefined) groups.set(group, (gathered = { slot, parts: [], bytes: 0 }));
      for (let from = 0; from < batch.drafts.length;) {
        const { to, size } = extentOf(batch, from);
        const { length } = gathered.parts;
        if (length > 0 && (gathered.bytes + size > callBytesMax || length === callPartsMax)) {
          this.#send(gathered, outcome);
          gathered.parts = [];
          gathered.bytes = 0;
        }
        gathered.parts.push({ batch, of, from, to });
        gathered.bytes += size;
        from = to;
      }
    }
    for (const gathered of groups.values()) if (gathered.parts.length > 0) this.#send(gathered, outcome);
  }

  #send({ slot, parts }: Gathered, outcome: Outcome): void {
    const { calls, own, idempotencyWindowMs } = this.#parts;
    const writer = this.#writer;
    const call = calls.begin(writer);
    writer.u16(parts.length);
    writer.f64(idempotencyWindowMs);
    const more: Buffer[] = [];
    for (const part of parts) this.#write(part, more);
    own.sent(call, parts);
    outcome.open++;
    calls.send(scripts.append, slot, writer, more).then(
      (reply) => {
        outcome.succeed(parts, reply as Buffer);
        own.answered(call);
      },
      (error: unknown) => {
        const code = isUnavailable(error) ? errors.unavailable : errors.outcomeUnknown;
        if (code === errors.unavailable) for (const { from, to } of parts) this.refused += to - from;
        for (const { of } of parts) outcome.fail(of, code);
        own.answered(call);
        outcome.settled();
      },
    );
  }

  #write({ batch, from, to }: Part, more: Buffer[]): void {
    const writer = this.#writer;
    const { app, tag, rule, drafts } = batch;
    writer.append(this.#parts.places.of(app, tag).head);
    writer.f64(keptSize(rule));
    writer.f64(rule.history?.ttlMs ?? 0);
    writer.f64(rule.history?.bytes ?? 0);
    let keyed = false;
    let bytes = 0;
    for (let i = from; i < to; i++) {
      const draft = drafts[i] as Draft;
      bytes += draft.body.bytes.length;
      keyed ||= draft.key !== null;
    }
    writer.u8(keyed ? 1 : 0);
    if (keyed) this.#writeKeys(drafts, from, to);
    writer.u32(bytes);
    writeMessages(writer, { bodies: drafts, from, to }, more);
  }

  #writeKeys(drafts: readonly Draft[], from: number, to: number): void {
    const writer = this.#writer;
    const start = writer.length;
    writer.u32(0);
    for (let i = from; i < to; i++) {
      const { key } = drafts[i] as Draft;
      const at = writer.length;
      writer.u16(noKey);
      if (key === null) continue;
      // Before the storage is named: it may be another one after a write.
      const length = writer.utf8(key);
      writer.bytes.writeUInt16BE(length, at);
    }
    writer.bytes.writeUInt32BE(writer.length - start - 4, start);
  }
}

/** How many drafts from `from` on go into one part, and about how many bytes they take. */
function extentOf({ tag, drafts }: Batch, from: number): { to: number; size: number } {
  let size = partOverhead + tag.length;
  let to = from;
  while (to < drafts.length && to - from < partDraftsMax) {
    const { body, key } = drafts[to] as Draft;
    const more = entryOverhead + body.bytes.length + (key === null ? 2 : 2 + key.length);
    if (to > from && size + more > callBytesMax) break;
    size += more;
    to++;
  }
  return { to, size };
}

/** Of a batch that nothing is known of yet, or without messages. */
const nothing: Appended = { positions: [] };

/** `offset` is negative where the message was there already. */
function positionOf(epoch: number, offset: number): AppendedPosition {
  return { epoch, offset: Math.abs(offset), repeated: offset < 0 };
}

/** Gathers the answers of one `append` from the replies of its calls. */
class Outcome {
  /** Complete once no call is under way: most batches are one part, whose answer is made at once. */
  readonly answers: Appended[];
  /** Calls under way. */
  open = 0;
  readonly #done = Promise.withResolvers<readonly Appended[]>();

  constructor(batches: readonly Batch[]) {
    this.answers = batches.map(() => nothing);
  }

  answer(): Answer<readonly Appended[]> {
    return this.open === 0 ? this.answers : this.#done.promise;
  }

  /** Where parts of a batch have different outcomes, it is not known of the batch. */
  fail(index: number, error: ErrorCode): void {
    const known = this.answers[index] as Appended;
    const isMixed = known !== nothing && known.error !== error;
    this.answers[index] = { error: isMixed ? errors.outcomeUnknown : error };
  }

  succeed(parts: readonly Part[], reply: Buffer): void {
    const view = new DataView(reply.buffer, reply.byteOffset, reply.length);
    let at = 0;
    for (const part of parts) {
      const { from, to } = part;
      const epoch = view.getUint32(at);
      const each = view.getUint8(at + 4) === 1;
      at += 5;
      const first = view.getFloat64(at);
      const positions = [positionOf(epoch, first)];
      for (let i = 1; i < to - from; i++) {
        positions.push(positionOf(epoch, each ? view.getFloat64(at + 8 * i) : first + i));
      }
      at += each ? 8 * (to - from) : 8;
      this.#add(part, positions);
    }
    this.settled();
  }

  #add({ batch, of, from, to }: Part, positions: AppendedPosition[]): void {
    if (to - from === batch.drafts.length) {
      this.answers[of] = { positions };
      return;
    }
    const known = this.answers[of] as Appended;
    if (known.error !== undefined) return this.fail(of, errors.outcomeUnknown);
    // Parts that had to be made again may be answered after those behind them.
    const all = known === nothing ? new Array<AppendedPosition>(batch.drafts.length) : [...known.positions];
    for (const [i, position] of positions.entries()) all[from + i] = position;
    this.answers[of] = { positions: all };
  }

  settled(): void {
    if (--this.open === 0) this.#done.resolve(this.answers);
  }
}
