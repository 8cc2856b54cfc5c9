/**
 * The broker of a process that stands alone: logs, keys, interest and presence in memory, every answer a value. It is the
 * reference for the contract in `broker.ts`; what each part keeps and for how long is in `memory/`.
 */
import { errors } from "../core/codes.ts";
import type { TagRule } from "../core/tag-rule.ts";
import { assert } from "../lib/assert.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type {
  Appended,
  AppendedPosition,
  Batch,
  Broker,
  Draft,
  Feed,
  LogPosition,
  Member,
  Members,
  Page,
  PageLimits,
  Stored,
} from "./broker.ts";
import { IdempotencyKeys } from "./memory/idempotency.ts";
import { Interest } from "./memory/interest.ts";
import { keptSize, messageOverheadBytes } from "./memory/log.ts";
import { Logs } from "./memory/logs.ts";
import { Presence } from "./memory/presence.ts";

export interface MemoryBrokerOptions {
  readonly clock: Clock;
  /**
   * Bytes that the messages of all logs may take: payload, meta and `messageOverheadBytes` each. Beyond it oldest messages
   * go, offsets and epochs stay. A message that cannot fit alone is refused with `payloadTooLarge`.
   */
  readonly logsMaxBytes: number;
  /** Logs, each 500 to 800 bytes without messages. Beyond it the least recently used one is dropped, its epoch with it. */
  readonly logsMax: number;
  /** How long a used key is remembered, milliseconds. */
  readonly idempotencyWindowMs: number;
  /**
   * Keys remembered in total, each some 250 bytes. Beyond it the logs with the most keys lose their oldest. Absent: no bound
   * but the window.
   */
  readonly idempotencyKeysMax?: number;
}

export interface MemoryStats {
  readonly logs: number;
  readonly messages: number;
  /** Counted as `logsMaxBytes` is. */
  readonly bytes: number;
  readonly idempotencyKeys: number;
  /** Keys forgotten before their window ended, since the start. */
  readonly idempotencyKeysForgotten: number;
  readonly members: number;
}

/** Every answer is a value; `stats` is for metrics and costs nothing. */
export interface MemoryBroker extends Broker {
  start(feed: Feed): void;
  stop(): void;
  append<D extends Draft>(batches: readonly Batch<D>[]): readonly Appended[];
  subscribe(app: string, pattern: string): void;
  history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Page;
  logs(app: string, pattern: string, limit: number): { readonly logs: readonly LogPosition[]; readonly more: boolean };
  join(app: string, tag: string, member: Member): void;
  leave(app: string, tag: string, member: Member): void;
  members(app: string, tag: string): Members;
  stats(): MemoryStats;
}

/** Messages and keys are also looked after by age on use; the sweep frees what nobody uses. */
const sweepIntervalMs = 1000;
const logsPerSweep = 2000;
const keysPerSweep = 20_000;

export function openMemoryBroker(options: MemoryBrokerOptions): MemoryBroker {
  return new ProcessMemoryBroker(options);
}

class ProcessMemoryBroker implements MemoryBroker {
  readonly #clock: Clock;
  readonly #messageMaxBytes: number;
  readonly #logs: Logs;
  readonly #keys: IdempotencyKeys;
  readonly #interest = new Interest();
  readonly #presence = new Presence((event) => this.#feed?.presence(event));
  #feed: Feed | null = null;
  #sweep: Timer | null = null;

  constructor(options: MemoryBrokerOptions) {
    const { clock, logsMaxBytes, logsMax, idempotencyWindowMs, idempotencyKeysMax = Infinity } = options;
    this.#clock = clock;
    this.#messageMaxBytes = logsMaxBytes - messageOverheadBytes;
    this.#logs = new Logs({ logsMaxBytes, logsMax }, (log) => this.#keys.drop(log));
    this.#keys = new IdempotencyKeys({ idempotencyWindowMs, idempotencyKeysMax });
  }

  start(feed: Feed): void {
    assert(this.#feed === null, "a broker is started once");
    this.#feed = feed;
    this.#sweep = this.#clock.every(sweepIntervalMs, () => {
      const nowMs = this.#clock.monotonicMs();
      this.#logs.sweep(logsPerSweep, nowMs);
      this.#keys.expire(keysPerSweep, nowMs);
    });
  }

  stop(): void {
    this.#sweep?.cancel();
    this.#sweep = null;
  }

  ready(): boolean {
    return this.#sweep !== null;
  }

  append<D extends Draft>(batches: readonly Batch<D>[]): readonly Appended[] {
    if (!this.ready()) return batches.map(() => ({ error: errors.unavailable }));
    const wallMs = this.#clock.wallMs();
    const nowMs = this.#clock.monotonicMs();
    // Each batch is announced before the next is stored, so that a feed which appends in turn keeps every log in order.
    return batches.map((batch) => this.#appendBatch(batch, wallMs, nowMs));
  }

  #appendBatch(batch: Batch, wallMs: number, nowMs: number): Appended {
    const { app, tag, rule } = batch;
    if (keptSize(rule) === 0) return { error: errors.noHistory };
    if (batch.drafts.some((draft) => draft.body.bytes.length > this.#messageMaxBytes)) {
      return { error: errors.payloadTooLarge };
    }
    const log = this.#logs.open(app, tag);
    const { epoch, top } = log;
    const messages: Stored[] = [];
    const drafts: number[] = [];
    const positions: AppendedPosition[] = [];
    let index = 0;
    for (const draft of batch.drafts) {
      const first = draft.key === null ? 0 : this.#keys.find(log, draft.key, nowMs);
      if (first === 0) {
        messages.push(log.push(draft.body, wallMs, nowMs));
        drafts.push(index);
        if (draft.key !== null) this.#keys.add(log, draft.key, log.top, nowMs);
      }
      positions.push({ epoch, offset: first || log.top, repeated: first > 0 });
      index++;
    }
    this.#logs.use(log, rule, nowMs);
    this.#logs.makeRoom(log);
    if (messages.length > 0 && this.#interest.has(log)) {
      this.#feed?.messages({ app, tag, epoch, first: top + 1, messages, batch, drafts });
    }
    return { positions };
  }

  subscribe(app: string, pattern: string): void {
    this.#interest.add(app, pattern);
  }

  unsubscribe(app: string, pattern: string): void {
    this.#interest.remove(app, pattern);
  }

  // oxlint-disable-next-line max-params -- the contract's signature
  history(app: string, tag: string, rule: TagRule, after: number, limits: PageLimits): Page {
    const log = this.#logs.open(app, tag);
    this.#logs.use(log, rule, this.#clock.monotonicMs());
    return log.page(after, limits);
  }

  logs(app: string, pattern: string, limit: number): { readonly logs: readonly LogPosition[]; readonly more: boolean } {
    return this.#logs.find(app, pattern, limit, this.#clock.monotonicMs());
  }

  join(app: string, tag: string, member: Member): void {
    this.#presence.join(app, tag, member);
  }

  leave(app: string, tag: string, member: Member): void {
    this.#presence.leave(app, tag, member);
  }

  members(app: string, tag: string): Members {
    return this.#presence.members(app, tag);
  }

  stats(): MemoryStats {
    return {
      logs: this.#logs.count,
      messages: this.#logs.messages,
      bytes: this.#logs.costBytes,
      idempotencyKeys: this.#keys.count,
      idempotencyKeysForgotten: this.#keys.forgotten,
      members: this.#presence.count,
    };
  }
}
