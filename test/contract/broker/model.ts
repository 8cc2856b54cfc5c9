/** Random use of a broker beside a model of a few lines: every answer and every announcement must be the model's. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type TagRule, liveOnly } from "../../../src/core/tag-rule.ts";
import { matches } from "../../../src/core/tag.ts";
import { Kit, type OpenBroker, keeps, letGoMs, numbers, offsets, retained, text, texts, windowMs } from "./kit.ts";

const apps = ["main", "other"];
const ttlMs = 7000;
/** Each tag with its rule. */
const kinds: readonly (readonly [tag: string, rule: TagRule])[] = [
  ["a/1", keeps({ size: 5 })],
  ["a/2", keeps({ size: 1000, ttlMs })],
  ["a", keeps({ size: 1000, bytes: 100 })],
  ["$b/1", { ...keeps({ size: 20, bytes: 200, ttlMs }), retain: true }],
  ["b", retained],
];
/**
 * Sums of these come no nearer than some 180 ms to the window or the ttl: a broker on another server counts from when a
 * command reached it, and on which side of the line that falls is left open.
 */
const passingMs = [3, 1031, 3119, windowMs + 511];
const patterns = ["a/1", "b", "#", "a/#", "+/1", "$b/+"];

type Step =
  | { readonly do: "append"; readonly batches: readonly DraftedBatch[] }
  | {
      readonly do: "history";
      readonly log: number;
      readonly after: number;
      readonly count: number;
      readonly bytes: number;
    }
  | { readonly do: "subscribe" | "unsubscribe"; readonly app: number; readonly pattern: number }
  | { readonly do: "advance" | "jump"; readonly ms: number }
  | { readonly do: "logs"; readonly app: number; readonly pattern: number; readonly limit: number };

interface DraftedBatch {
  readonly log: number;
  readonly drafts: readonly { readonly size: number; readonly key: string | null }[];
}

const log = fc.nat(apps.length * kinds.length - 1);
const app = fc.nat(apps.length - 1);
const pattern = fc.nat(patterns.length - 1);
const batch: fc.Arbitrary<DraftedBatch> = fc.record({
  log,
  drafts: fc.array(fc.record({ size: fc.nat(60), key: fc.option(fc.constantFrom("k1", "k2", "k3", "k4")) }), {
    minLength: 1,
    maxLength: 8,
  }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      batches: fc.array(batch, { minLength: 1, maxLength: 3 }),
    }),
    weight: 5,
  },
  {
    arbitrary: fc.record({
      do: fc.constant("history" as const),
      log,
      after: fc.nat(40),
      count: fc.nat(12),
      bytes: fc.nat(300),
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({ do: fc.constantFrom("subscribe" as const, "unsubscribe" as const), app, pattern }),
    weight: 2,
  },
  {
    arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.constantFrom(...passingMs) }),
    weight: 2,
  },
  {
    arbitrary: fc.record({ do: fc.constant("jump" as const), ms: fc.integer({ min: -100_000, max: 100_000 }) }),
    weight: 1,
  },
  {
    arbitrary: fc.record({ do: fc.constant("logs" as const), app, pattern, limit: fc.integer({ min: 1, max: 6 }) }),
    weight: 1,
  },
);

interface Told {
  readonly text: string;
  readonly atMs: number;
  readonly announced: boolean;
}

/** One log of the model: everything that was ever appended. */
class ModelLog {
  readonly app: string;
  readonly tag: string;
  readonly rule: TagRule;
  readonly all: Told[] = [];
  readonly keys = new Map<string, { readonly offset: number; readonly atMs: number }>();
  epoch: number | null = null;

  constructor(index: number) {
    const [tag, rule] = kinds[index % kinds.length] ?? ["a", liveOnly];
    this.app = apps[Math.floor(index / kinds.length)] ?? "main";
    this.tag = tag;
    this.rule = rule;
  }

  isCurrent(epoch: number): boolean {
    this.epoch ??= epoch;
    return this.epoch === epoch;
  }

  /** Offset of the oldest message that must still be there. */
  oldestKept(nowMs: number): number {
    const size = this.rule.history?.size ?? 1;
    let bytes = 0;
    let oldest = this.all.length + 1;
    for (const { text: one, atMs } of this.all.toReversed()) {
      bytes += one.length;
      const kept = this.all.length + 1 - oldest;
      const fits = kept === 0 || bytes <= (this.rule.history?.bytes ?? Infinity);
      if (kept >= size || !fits || this.isAged(atMs, nowMs)) break;
      oldest--;
    }
    return oldest;
  }

  isAged(atMs: number, nowMs: number): boolean {
    return nowMs - atMs > (this.rule.history?.ttlMs ?? Infinity);
  }
}

class ModelRun {
  readonly #kit: Kit;
  readonly #logs = numbers(0, apps.length * kinds.length - 1).map((index) => new ModelLog(index));
  readonly #interest = new Set<string>();
  #nowMs = 0;
  #count = 0;

  constructor(kit: Kit) {
    this.#kit = kit;
  }

  async run(one: Step): Promise<void> {
    switch (one.do) {
      case "append":
        return await this.#append(one.batches);
      case "history":
        return await this.#history(one);
      case "subscribe":
        this.#interest.add(`${apps[one.app]} ${patterns[one.pattern]}`);
        return await this.#kit.broker.subscribe(apps[one.app]!, patterns[one.pattern]!);
      case "unsubscribe":
        this.#interest.delete(`${apps[one.app]} ${patterns[one.pattern]}`);
        await this.#kit.unsubscribe(apps[one.app]!, patterns[one.pattern]!);
        this.#nowMs += letGoMs;
        return;
      case "advance":
        this.#nowMs += one.ms;
        return await this.#kit.clock.advance(one.ms);
      case "jump":
        return await this.#kit.clock.jumpWall?.(one.ms);
      case "logs":
        return await this.#find(apps[one.app]!, patterns[one.pattern]!, one.limit);
    }
  }

  async #append(batches: readonly DraftedBatch[]): Promise<void> {
    const sent = batches.map(({ log: index, drafts }) => {
      const { app: of, tag, rule } = this.#logs[index]!;
      const named = drafts.map(({ size, key }) => ({ key, said: `${++this.#count} `.padEnd(size, "x") }));
      const bodies = named.map(({ key, said }) => ({
        key,
        body: { bytes: Buffer.from(said), payloadLength: said.length },
      }));
      return { index, named, batch: { app: of, tag, rule, drafts: bodies } };
    });
    const answers = await this.#kit.append(...sent.map((one) => one.batch));
    for (const [i, { index, named }] of sent.entries()) {
      const model = this.#logs[index]!;
      const expected = named.map(({ key, said }) => this.#told(model, key, said));
      const positions = answers[i]?.positions ?? [];
      expect(positions.map(({ offset, repeated }) => ({ offset, repeated }))).toEqual(expected);
      expect(positions.every(({ epoch }) => model.isCurrent(epoch))).toBe(true);
    }
  }

  #told(model: ModelLog, key: string | null, said: string): { offset: number; repeated: boolean } {
    const used = key === null ? undefined : model.keys.get(key);
    if (used && this.#nowMs - used.atMs < windowMs) return { offset: used.offset, repeated: true };
    const announced = [...this.#interest].some((one) => {
      const [of, wanted] = one.split(" ");
      return of === model.app && matches(wanted!, model.tag);
    });
    const offset = model.all.push({ text: said, atMs: this.#nowMs, announced });
    if (key !== null) model.keys.set(key, { offset, atMs: this.#nowMs });
    return { offset, repeated: false };
  }

  async #history(read: { log: number; after: number; count: number; bytes: number }): Promise<void> {
    const model = this.#logs[read.log]!;
    const { app, tag, rule } = model;
    const { messages, top, oldest, epoch } = await this.#kit.page(tag, { app, rule, after: read.after, limits: read });
    expect(model.isCurrent(epoch)).toBe(true);
    expect(top).toBe(model.all.length);
    expect(oldest).toBeLessThanOrEqual(model.oldestKept(this.#nowMs));
    expect(model.all.slice(oldest - 1).some(({ atMs }) => model.isAged(atMs, this.#nowMs))).toBe(false);
    const first = Math.max(read.after + 1, oldest);
    expect(offsets(messages)).toEqual(numbers(first, first + messages.length - 1));
    expect(texts(messages)).toEqual(model.all.slice(first - 1, first - 1 + messages.length).map((one) => one.text));
    const next = model.all[first - 1 + messages.length];
    const bytes = messages.reduce((sum, message) => sum + message.bytes.length, 0);
    expect(messages.length).toBeLessThanOrEqual(read.count);
    expect(messages.length <= 1 || bytes <= read.bytes).toBe(true);
    const full =
      messages.length === read.count || (messages.length > 0 && bytes + (next?.text.length ?? 0) > read.bytes);
    expect(next === undefined || full).toBe(true);
  }

  async #find(of: string, wanted: string, limit: number): Promise<void> {
    const { logs, more } = await this.#kit.broker.logs(of, wanted, limit);
    const expected = this.#logs.filter((one) => one.app === of && one.all.length > 0 && matches(wanted, one.tag));
    expect(logs.length).toBe(Math.min(limit, expected.length));
    expect(more).toBe(expected.length > limit);
    for (const found of logs) {
      const model = expected.find(({ tag }) => tag === found.tag);
      expect(model?.isCurrent(found.epoch)).toBe(true);
      expect(found.top).toBe(model!.all.length);
      expect(found.oldest).toBeLessThanOrEqual(model!.oldestKept(this.#nowMs));
    }
  }

  /** Everything appended under interest was announced, in order, and nothing else. */
  async finish(): Promise<void> {
    await this.#kit.fence();
    for (const model of this.#logs) {
      const expected = model.all.flatMap((one, i) => (one.announced ? [[i + 1, one.text]] : []));
      await this.#kit.feed.until(() => this.#kit.feed.seen(model.tag, model.app).length >= expected.length);
      const seen = this.#kit.feed.seen(model.tag, model.app).map((message) => [message.offset, text(message)]);
      expect(seen).toEqual(expected);
    }
  }
}

export function modelContract(open: OpenBroker): void {
  describe("random use", () => {
    test("gives the answers and announcements of the model", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: "max" }), async (steps) => {
          await using kit = await Kit.open(open);
          const run = new ModelRun(kit);
          for (const one of steps) await run.run(one);
          await run.finish();
        }),
        // Each step of shrinking a lost event waits for it in vain, so that shrinking is cut short.
        { numRuns: 150, interruptAfterTimeLimit: 20_000 },
      );
    }, 60_000);
  });
}
