/** A subscriber beside the box that writes down all that comes, and goes on where it was after every outage. */
import { type Client, connect } from "../../src/client/client.ts";
import { Conditions } from "../harness/deadline.ts";

export interface Recorded {
  readonly id: string;
  readonly epoch: number;
  readonly offset: number;
}

export class Recorder implements Disposable {
  readonly byTag = new Map<string, Recorded[]>();
  /** What it was told is missing: nothing may be, where the store is on disk. */
  readonly gaps: string[] = [];
  /** Longest time without a connection, ms. */
  longestOutageMs = 0;
  readonly client: Client;
  readonly #conditions = new Conditions();
  #awaySinceMs: number | null = null;

  constructor(url: string, token: string, pattern: string) {
    this.client = connect(url, { token, backoff: { minMs: 50, maxMs: 500 } });
    this.client.on("gap", (gap) => this.gaps.push(JSON.stringify(gap)));
    this.client.on("state", (state) => this.#note(state === "active"));
    this.client.subscribe<{ id: string }>(pattern, {}, ({ tag, payload, position }) => {
      const recorded = { id: payload.id, epoch: position?.epoch ?? 0, offset: position?.offset ?? 0 };
      const all = this.byTag.get(tag);
      if (all === undefined) this.byTag.set(tag, [recorded]);
      else all.push(recorded);
      this.#conditions.check();
    });
  }

  /** Waits until it has all up to an offset of each tag. */
  async reaches(tops: ReadonlyMap<string, number>, ms: number): Promise<void> {
    const missing = () => [...tops].filter(([tag, top]) => (this.byTag.get(tag)?.at(-1)?.offset ?? 0) < top);
    await this.#conditions.until(
      () => missing().length === 0 || undefined,
      () => `the recorder to catch up; it lacks ${JSON.stringify(missing().slice(0, 5))}`,
      ms,
    );
  }

  [Symbol.dispose](): void {
    this.client.close();
  }

  #note(isActive: boolean): void {
    const now = performance.now();
    if (isActive && this.#awaySinceMs !== null) {
      this.longestOutageMs = Math.max(this.longestOutageMs, now - this.#awaySinceMs);
      this.#awaySinceMs = null;
    } else if (!isActive) this.#awaySinceMs ??= now;
  }
}
