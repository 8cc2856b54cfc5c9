/** One subscription of a subscriber, through all of its connections: positions, one for each log, as the protocol says. */
import { matches } from "../../src/core/tag.ts";
import { LiveView } from "./live.ts";
import { LogView } from "./log-view.ts";
import type { WireMessage } from "./socket.ts";
import type { World } from "./world.ts";

type Result = Readonly<Record<string, unknown>>;
type Position = readonly [epoch: number, offset: number, start?: number];

export class Subscription {
  readonly pattern: string;
  readonly isWildcard: boolean;
  readonly live: LiveView;
  readonly views = new Map<string, LogView>();
  /** Confirmed on the connection that there is now. */
  confirmed = false;
  readonly #owner: string;
  readonly #world: World;
  /** What `since` named in the question under way. */
  #asked: ReadonlyMap<string, Position> | null = null;
  #begun = false;

  constructor(owner: string, pattern: string, world: World) {
    this.#owner = `${owner} by ${pattern}`;
    this.pattern = pattern;
    this.#world = world;
    this.isWildcard = /[+#]/.test(pattern);
    this.live = new LiveView(this.#owner, world.verdict);
    for (const tag of world.tags) {
      if (this.covers(tag)) this.views.set(tag, new LogView(this.#owner, world.truth(tag), world.verdict));
    }
  }

  covers(tag: string): boolean {
    return this.isWildcard ? matches(this.pattern, tag) : this.pattern === tag;
  }

  /** Options of op 2 that go on from where it is. */
  options(): Result | null {
    this.confirmed = false;
    this.#asked = this.#begun ? this.#positions() : null;
    if (this.#asked === null) return null;
    return { since: this.isWildcard ? Object.fromEntries(this.#asked) : this.#asked.get(this.pattern) };
  }

  answered(result: Result): void {
    if (this.isWildcard) this.#answeredWildcard(result);
    else this.#answeredTag(result);
    this.#begun = true;
    this.confirmed = true;
    this.live.confirmed();
  }

  ended(): void {
    this.confirmed = false;
    this.live.ended();
  }

  message([, tag, offset, payload, , , epoch]: WireMessage): void {
    const [first, second] = payload as [number, number];
    if (offset === null) return this.live.message(tag as string, first, second);
    const view = this.views.get(tag as string);
    if (view === undefined) return this.#wrong(`got a message of ${String(tag)}`);
    this.#world.counts.deliveries++;
    view.message(first, offset as number, (epoch as number | undefined) ?? null);
  }

  gap([, name, from, to, detail]: WireMessage): void {
    const { code, epoch = null } = detail as { code: number; epoch?: number };
    this.#world.gap(code);
    if (to === null) return this.live.gap();
    const view = this.views.get(name as string);
    if (view === undefined) return this.#wrong(`was told a gap of ${String(name)}`);
    view.gap({ from: from as number | null, to: to as number, code, epoch });
  }

  #positions(): ReadonlyMap<string, Position> {
    const found = new Map<string, Position>();
    for (const [tag, { position }] of this.views) if (position !== null) found.set(tag, position);
    return found;
  }

  #answeredTag({ position, start, recovered }: Result): void {
    const view = this.views.get(this.pattern);
    if (view === undefined) return;
    if (!Array.isArray(position)) return this.#wrong("was answered without a position");
    const [epoch, offset] = position as unknown as Position;
    if (this.#asked === null) view.begin(epoch, (start as number | undefined) ?? offset);
    else view.resume(epoch, recovered === true);
  }

  #answeredWildcard({ positions = {}, lost = [], unseen = [], more }: Result): void {
    if (more === true) this.#wrong("was answered with more");
    if (this.#asked !== null) {
      const named = new Map(Object.entries(positions as Record<string, Position>));
      for (const tag of this.#asked.keys()) {
        const position = named.get(tag);
        if (position === undefined) this.#wrong(`was not told the position of ${tag}`);
        else this.views.get(tag)?.resume(position[0], !(lost as string[]).includes(tag));
      }
    }
    for (const [tag, epoch, offset, start] of unseen as [string, number, number, number?][]) {
      const view = this.views.get(tag);
      if (view === undefined || this.#asked?.has(tag)) this.#wrong(`was told of ${tag} as unseen`);
      else if (view.epoch === 0) view.begin(epoch, start ?? offset);
    }
  }

  #wrong(what: string): void {
    this.#world.verdict.violation(`${this.#owner}: ${what}`);
  }
}
