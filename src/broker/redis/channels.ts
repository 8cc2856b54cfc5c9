/**
 * Which channels this instance listens on. What is wanted is served by the broadest channel that is wanted at all, since
 * that brings it anyway; the ones beneath it are let go, once what takes their place is confirmed.
 */
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Clock } from "../../lib/clock.ts";

/** The subscriber connection, as far as this is concerned. */
export interface ChannelLink {
  subscribe(channels: readonly string[]): Promise<void>;
  unsubscribe(channels: readonly string[]): Promise<void>;
  /** Settles when everything that was announced before has arrived. */
  fence(): Promise<void>;
}

/** What is let go together, and how long one waits for what takes its place before one looks again. */
const letGoMs = 100;

interface Wanted {
  /** Patterns that want it. */
  count: number;
  /** The channels that bring all of what it brings, itself first. */
  readonly chain: readonly string[];
}

interface Active {
  readonly channel: string;
  confirmed: boolean;
  /** Settles with the confirmation. */
  readonly settled: PromiseWithResolvers<void>;
}

export class Channels {
  readonly #clock: Clock;
  readonly #wanted = new Map<string, Wanted>();
  /** How many of what is wanted could come by each channel, beside the channel itself. */
  readonly #beneath = new Map<string, number>();
  /** Subscribed to, or about to be, on the connection there is now. */
  readonly #active = new Map<string, Active>();
  #link: ChannelLink | null = null;
  #opening: Active[] = [];
  #closing = new Set<string>();
  #fencing: Promise<void> | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Channels that this instance listens on. */
  get size(): number {
    return this.#active.size;
  }

  /** A new connection: settles when it listens on everything that is wanted. */
  async open(link: ChannelLink): Promise<void> {
    this.#link = link;
    for (const channel of this.#wanted.keys()) if (this.#isNeeded(channel)) this.#activate(channel);
    await Promise.all([...this.#active.values()].map(({ settled }) => settled.promise));
  }

  /** The connection is gone. */
  close(): void {
    this.#link = null;
    this.#opening = [];
    this.#closing.clear();
    const lost = [...this.#active.values()];
    this.#active.clear();
    for (const { confirmed, settled } of lost) if (!confirmed) settled.reject(new ProtocolError(errors.unavailable));
  }

  /** Wants what `chain[0]` brings; settles once that comes, and what came before has come. Rejected without a connection. */
  async want(chain: readonly string[]): Promise<void> {
    const narrow = chain[0] as string;
    const wanted = this.#wanted.get(narrow);
    if (wanted !== undefined) wanted.count++;
    else {
      this.#wanted.set(narrow, { count: 1, chain });
      this.#countBeneath(chain, 1);
    }
    if (this.#link === null) throw new ProtocolError(errors.unavailable);
    const serving = this.#activate(this.#servingOf(chain));
    if (serving.confirmed) await this.#fence();
    else await serving.settled.promise;
    if (wanted === undefined) this.#letGoBeneath(narrow);
  }

  /** One for all who ask in the same turn. */
  #fence(): Promise<void> {
    this.#fencing ??= Promise.resolve().then(async () => {
      this.#fencing = null;
      if (this.#link === null) throw new ProtocolError(errors.unavailable);
      await this.#link.fence();
    });
    return this.#fencing;
  }

  /** One pattern wants it no more. */
  unwant(chain: readonly string[]): void {
    const narrow = chain[0] as string;
    const wanted = this.#wanted.get(narrow);
    if (wanted === undefined || --wanted.count > 0) return;
    this.#wanted.delete(narrow);
    this.#countBeneath(wanted.chain, -1);
    if (this.#link === null) return;
    // What it brought for others must come by their own channels from now on.
    if (this.#beneath.has(narrow)) {
      for (const [channel, other] of this.#wanted) {
        if (other.chain.includes(narrow) && this.#isNeeded(channel)) this.#activate(channel);
      }
    }
    this.#letGo([narrow]);
  }

  /** Of thousands of tags none has anything beneath it: what is wanted is not to be looked through for each. */
  #countBeneath(chain: readonly string[], by: 1 | -1): void {
    for (let i = 1; i < chain.length; i++) {
      const channel = chain[i] as string;
      const count = (this.#beneath.get(channel) ?? 0) + by;
      if (count === 0) this.#beneath.delete(channel);
      else this.#beneath.set(channel, count);
    }
  }

  #servingOf(chain: readonly string[]): string {
    return chain.findLast((channel) => this.#wanted.has(channel)) ?? (chain[0] as string);
  }

  #isNeeded(channel: string): boolean {
    const wanted = this.#wanted.get(channel);
    return wanted !== undefined && this.#servingOf(wanted.chain) === channel;
  }

  #activate(channel: string): Active {
    const known = this.#active.get(channel);
    if (known !== undefined) return known;
    const active: Active = { channel, confirmed: false, settled: Promise.withResolvers<void>() };
    active.settled.promise.catch(ignore);
    this.#active.set(channel, active);
    if (this.#opening.push(active) === 1) queueMicrotask(() => this.#subscribe());
    return active;
  }

  #subscribe(): void {
    const link = this.#link;
    const opening = this.#opening;
    this.#opening = [];
    if (link === null || opening.length === 0) return;
    link.subscribe(opening.map(({ channel }) => channel)).then(
      () => {
        if (this.#link !== link) return;
        for (const active of opening) {
          active.confirmed = true;
          active.settled.resolve();
        }
      },
      // The connection is lost: its end is told to `close`.
      ignore,
    );
  }

  /** What stands beneath a channel that is confirmed by now comes by it. */
  #letGoBeneath(channel: string): void {
    if (!this.#beneath.has(channel)) return;
    const beneath: string[] = [];
    for (const [other, { chain }] of this.#wanted)
      if (other !== channel && chain.includes(channel)) beneath.push(other);
    if (beneath.length > 0) this.#letGo(beneath);
  }

  #letGo(channels: readonly string[]): void {
    const first = this.#closing.size === 0;
    for (const channel of channels) this.#closing.add(channel);
    if (first) this.#clock.after(letGoMs, () => this.#unsubscribe());
  }

  #unsubscribe(): void {
    const link = this.#link;
    if (link === null) return;
    const gone: string[] = [];
    const waiting: string[] = [];
    const closing = [...this.#closing];
    this.#closing.clear();
    for (const channel of closing) {
      if (!this.#active.has(channel) || this.#isNeeded(channel)) continue;
      if (this.#isReplaced(channel)) gone.push(channel);
      else waiting.push(channel);
    }
    if (waiting.length > 0) this.#letGo(waiting);
    for (const channel of gone) this.#active.delete(channel);
    // Rejected only where the connection is lost, and nothing is to be let go of then.
    if (gone.length > 0) link.unsubscribe(gone).catch(ignore);
  }

  /** Whether all that it brought to somebody comes by other channels by now. */
  #isReplaced(channel: string): boolean {
    if (!this.#beneath.has(channel)) {
      const own = this.#wanted.get(channel);
      return own === undefined || this.#active.get(this.#servingOf(own.chain))?.confirmed === true;
    }
    for (const { chain } of this.#wanted.values()) {
      if (chain.includes(channel) && this.#active.get(this.#servingOf(chain))?.confirmed !== true) return false;
    }
    return true;
  }
}

function ignore(): void {
  // Told elsewhere.
}
