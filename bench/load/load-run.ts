/** A run: publishes at a pace, counts what arrives, and ends once all has arrived or nothing comes any more. */
import type { Client } from "./client.ts";
import type { RunCommand, Tally } from "./commands.ts";
import type { Count } from "./counting.ts";
import { createPayload, sequenceMax, stampPayload } from "./payload.ts";
import type { Stopwatch } from "./stopwatch.ts";
import type { Turn } from "./turn.ts";

/** Between two looks at what does not arrive, and at the time. */
const watchMs = 10;
/** Messages after which the clock is read again within a burst. */
const stampEvery = 16;

type Publishing = Pick<Client, "publish">;

interface Publisher {
  readonly client: Publishing;
  readonly tags: readonly string[];
  readonly firstStream: number;
  turn: number;
}

export interface RunParts {
  readonly command: RunCommand;
  readonly run: number;
  readonly publishers: readonly Publishing[];
  readonly count: Count;
  readonly turn: Turn;
  readonly stopwatch: Stopwatch;
}

/** Streams that a run will have: one for each publisher and tag. */
export function countStreams(command: RunCommand, publishers: number): number {
  let streams = 0;
  for (let i = 0; i < publishers; i++) streams += command.tags[i % command.tags.length]?.length ?? 0;
  return streams;
}

export class LoadRun {
  readonly #parts: RunParts;
  readonly #payload: Buffer;
  readonly #publishers: Publisher[] = [];
  readonly #sequences: Int32Array;
  readonly #done = Promise.withResolvers<void>();
  readonly #inFlight: number;
  readonly #perSecond: number;
  readonly #perFrame: number;
  /** Publisher whose turn it is. */
  #next = 0;
  #published = 0;
  /** Messages that are counted as in flight no more, though nothing came of them. */
  #forgiven = 0;
  #startedAt = 0;
  #progress = 0;
  #progressAt = 0;
  /** When those in flight were given up last. */
  #forgivenAt = 0;
  #isPublishing = true;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(parts: RunParts) {
    const { command, publishers } = parts;
    this.#parts = parts;
    this.#payload = createPayload(command.payloadBytes);
    const { pace, perFrame = 1 } = command;
    this.#perFrame = perFrame;
    this.#inFlight = "inFlight" in pace ? pace.inFlight : Infinity;
    this.#perSecond = "perSecond" in pace ? pace.perSecond : Infinity;
    let streams = 0;
    for (const [i, client] of publishers.entries()) {
      const tags = command.tags[i % command.tags.length] ?? [];
      if (tags.length > 0) this.#publishers.push({ client, tags, firstStream: streams, turn: 0 });
      streams += tags.length;
    }
    if (this.#publishers.length === 0) throw new Error("Nobody publishes in this run");
    if (this.#inFlight < perFrame) throw new Error("A frame holds more than may be in flight");
    if (command.receivers === 0 && !command.acknowledge) throw new Error("Nothing would come back in this run");
    this.#sequences = new Int32Array(streams);
  }

  async result(): Promise<Tally> {
    const { turn, command, count, stopwatch } = this.#parts;
    this.#startedAt = performance.now();
    this.#progressAt = this.#startedAt;
    stopwatch.start();
    const watch = setInterval(() => this.#look(), watchMs);
    turn.onEnd = () => this.#look();
    if (this.#perSecond < Infinity) this.#keepTime();
    else this.#look();
    turn.flush();
    await this.#done.promise;
    clearInterval(watch);
    if (this.#timer !== null) clearTimeout(this.#timer);
    turn.onEnd = null;
    const used = stopwatch.stop();
    const seconds = Math.max(this.#progressAt - this.#startedAt, 0.001) / 1000;
    const published = this.#published;
    return count.tally({ ...used, published, expected: published * command.receivers, seconds });
  }

  /** At the end of each turn in which something came, and now and then. */
  #look(): void {
    const { command, count } = this.#parts;
    const now = performance.now();
    const progress = count.settled + count.acks;
    const hasComeForward = progress !== this.#progress;
    if (hasComeForward) {
      this.#progress = progress;
      this.#progressAt = now;
    }
    const quiet = now - Math.max(this.#progressAt, this.#forgivenAt) >= command.quietMs;
    if (this.#isPublishing) {
      if (this.#published >= command.messages || now - this.#startedAt >= command.seconds * 1000)
        this.#isPublishing = false;
      else if (this.#inFlight < Infinity) this.#fill(quiet);
    }
    if (!this.#isPublishing && (quiet || this.#isComplete())) this.#done.resolve();
  }

  #isComplete(): boolean {
    const { command, count } = this.#parts;
    if (command.acknowledge && count.acks < this.#published) return false;
    return count.settled >= this.#published * command.receivers;
  }

  /** As many as are missing in flight. `quiet`: those in flight are given up. */
  #fill(quiet: boolean): void {
    const { command, count } = this.#parts;
    let arrived = Infinity;
    if (command.receivers > 0) arrived = count.settled / command.receivers;
    if (command.acknowledge) arrived = Math.min(arrived, count.acks);
    if (quiet) {
      this.#forgiven = Math.max(this.#forgiven, this.#published - arrived);
      this.#forgivenAt = performance.now();
    }
    this.#publish(Math.floor(this.#inFlight + arrived + this.#forgiven) - this.#published);
  }

  /** Publishes what is due, and comes back when the next one is. */
  #keepTime(): void {
    const { command, turn } = this.#parts;
    if (!this.#isPublishing) return;
    const elapsedMs = performance.now() - this.#startedAt;
    if (elapsedMs < command.seconds * 1000) {
      this.#publish(Math.floor((elapsedMs * this.#perSecond) / 1000) + 1 - this.#published);
      turn.flush();
    }
    if (this.#published >= command.messages || elapsedMs >= command.seconds * 1000) {
      this.#isPublishing = false;
      return;
    }
    const dueMs = ((this.#published + this.#perFrame - 1) * 1000) / this.#perSecond;
    this.#timer = setTimeout(() => this.#keepTime(), Math.max(1, dueMs - (performance.now() - this.#startedAt)));
  }

  /** Whole frames alone, but for the last messages of the run. */
  #publish(wanted: number): void {
    const { command, turn, run } = this.#parts;
    const payload = this.#payload;
    const perFrame = this.#perFrame;
    const count = Math.min(wanted - (wanted % perFrame), command.messages - this.#published);
    for (let i = 0; i < count; i++) {
      if (i % stampEvery === 0) turn.tick();
      const publisher = this.#publishers[this.#next] as Publisher;
      const more = (i + 1) % perFrame !== 0 && i + 1 < count;
      if (!more && ++this.#next === this.#publishers.length) this.#next = 0;
      const { tags } = publisher;
      const index = publisher.turn;
      publisher.turn = index + 1 === tags.length ? 0 : index + 1;
      const stream = publisher.firstStream + index;
      const sequence = (this.#sequences[stream] as number) + 1;
      if (sequence > sequenceMax) throw new Error("A stream has more messages than can be numbered");
      this.#sequences[stream] = sequence;
      stampPayload(payload, turn.micros(), run, stream, sequence);
      publisher.client.publish(tags[index] as string, payload, command.acknowledge, more);
    }
    if (count > 0) this.#published += count;
  }
}
