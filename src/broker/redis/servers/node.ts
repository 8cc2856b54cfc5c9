/**
 * A master of a Redis Cluster: a connection for calls and one that listens. What a beat says by the one must come back by the
 * other, as being connected proves nothing.
 */
import { type Argument, type Link, openLink } from "../connect.ts";
import { loadScripts } from "../scripts.ts";
import type { Receive } from "./connection.ts";
import { ShardListener } from "./shard-listener.ts";
import { type Range, rangesAt, slotAt } from "./topology.ts";

/** Beats without an answer, or not heard, after which the master is given up. */
const missedMax = 3;
/** Between beats; after a longer time this process has slept, and what came meanwhile is yet to be read. */
const sleptMs = 2500;

/** What is listened to: by slot key the channels, and who receives what they bring. */
export type Listening = ReadonlyMap<number, ReadonlyMap<string, Receive>>;

export class ClusterNode {
  readonly id: string;
  /** Resolves with why it is of no use any more. */
  readonly ended: Promise<Error>;
  /**
   * Not everything is listened to any more: the server has ended subscriptions, as of slot keys that it holds no more, or the
   * listening connection is lost, which says nothing of the one for calls. It is to be replaced.
   */
  onDeaf: () => void = () => {};
  readonly #commands: Link;
  readonly #end: (reason: Error) => void;
  #listener: ShardListener;
  #isDestroyed = false;
  #beatChannel: readonly [index: number, channel: string] | null = null;
  #answers = 0;
  #before = { answers: 0, packets: 0, beatAnswered: false, atMs: 0 };
  #unanswered = 0;
  #unheard = 0;
  #beatAnswered = false;

  private constructor(id: string, commands: Link, listener: ShardListener) {
    this.id = id;
    this.#commands = commands;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.ended = promise;
    this.#end = resolve;
    void commands.ended.then(resolve);
    this.#listener = listener;
    this.#follow(listener);
  }

  static async open(url: string): Promise<ClusterNode> {
    const commands = await openLink(url);
    let listener: ShardListener | null = null;
    try {
      listener = await ShardListener.open(commands, true);
      const id = String(await commands.send(["CLUSTER", "MYID"]));
      await loadScripts(commands);
      return new ClusterNode(id, commands, listener);
    } catch (error) {
      commands.destroy();
      listener?.link.destroy();
      throw error;
    }
  }

  get runId(): Uint8Array {
    return this.#commands.runId;
  }

  get isEnded(): boolean {
    return this.#commands.isEnded;
  }

  get isDeaf(): boolean {
    return this.#listener.link.isEnded;
  }

  async send(args: readonly Argument[]): Promise<unknown> {
    const reply = await this.#commands.send(args);
    this.#answers++;
    return reply;
  }

  /** Which slots this server takes for whose. */
  async ranges(): Promise<Range[]> {
    const ranges = await rangesAt(this.#commands);
    this.#answers++;
    return ranges;
  }

  /** `channels` are of one slot key. */
  subscribe(channels: readonly string[], receive: Receive): Promise<void> {
    return this.#listener.subscribe(channels, receive);
  }

  unsubscribe(channels: readonly string[], receive: Receive): Promise<void> {
    return this.#listener.unsubscribe(channels, receive);
  }

  fence(): Promise<void> {
    return this.#listener.link.ping();
  }

  /**
   * Takes another listening connection, for `listening` alone: the client may not have noticed which subscriptions the server
   * has ended. What comes between the two is lost. `listening` is asked for once new subscriptions go to the other one.
   */
  async replaceListener(listening: () => Listening): Promise<void> {
    const old = this.#listener;
    // What it still brings must not come behind what the next holder of the slot key says.
    old.isOpen = false;
    const fresh = await ShardListener.open(this.#commands, false);
    if (this.#isDestroyed) {
      fresh.link.destroy();
      throw new Error("Given up");
    }
    this.#listener = fresh;
    this.#beatChannel = null;
    this.#follow(fresh);
    try {
      await subscribeAll(fresh, listening());
    } finally {
      old.link.destroy();
    }
    // What the old one has brought already is not brought again.
    await fresh.link.ping();
    fresh.isOpen = true;
  }

  /** Each second. `index`: a slot key of this master; `instance`: ASCII. */
  beat(index: number, instance: string): void {
    const { answers, packets, atMs } = this.#before;
    const nowMs = performance.now();
    const hasSlept = nowMs - atMs > sleptMs;
    if (hasSlept || this.#answers > answers) this.#unanswered = 0;
    if (hasSlept || this.#listener.packets !== packets || !this.#beatAnswered) this.#unheard = 0;
    this.#before = { answers: this.#answers, packets: this.#listener.packets, beatAnswered: false, atMs: nowMs };
    this.#beatAnswered = false;
    if (this.#unanswered >= missedMax) return this.#end(new Error("A master does not answer"));
    if (this.#unheard >= missedMax) {
      this.#unheard = 0;
      this.onDeaf();
    }
    this.#unanswered++;
    this.#unheard++;
    // Where it fails, the next beats tell.
    this.#say(index, instance).catch(ignore);
    this.#count().catch(ignore);
  }

  /** The client takes a subscription that the server ends for what it has asked for just now, or does not tell of it. */
  async #count(): Promise<void> {
    const listener = this.#listener;
    const { changes, count } = listener;
    if (count === null) return;
    const told = / ssub=(\d+)/.exec(String(await this.send(["CLIENT", "LIST", "ID", listener.id])))?.[1];
    if (told === undefined || listener !== this.#listener || listener.changes !== changes) return;
    if (Number(told) !== count) this.onDeaf();
  }

  async #say(index: number, instance: string): Promise<void> {
    const channel = `tc1:{${slotAt(index)}}:b:${instance}`;
    if (this.#beatChannel?.[1] !== channel) {
      const [, old] = this.#beatChannel ?? [];
      this.#beatChannel = [index, channel];
      await this.#listener.subscribe([channel], ignore);
      if (old !== undefined) await this.#listener.unsubscribe([old], ignore);
    }
    await this.send(["SPUBLISH", channel, ""]);
    this.#beatAnswered = true;
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#commands.destroy();
    this.#listener.link.destroy();
  }

  #follow(listener: ShardListener): void {
    const isDeaf = () => {
      if (this.#listener === listener) this.onDeaf();
    };
    listener.link.onMoved(isDeaf);
    void listener.link.ended.then(isDeaf);
  }
}

/** Subscribes one slot key after the other, as each command may name channels of one alone. */
export async function subscribeAll(
  listener: { subscribe(channels: readonly string[], receive: Receive): Promise<void> },
  listening: Listening,
): Promise<void> {
  const asked: Promise<void>[] = [];
  for (const channels of listening.values()) {
    const byReceiver = new Map<Receive, string[]>();
    for (const [channel, receive] of channels) {
      const names = byReceiver.get(receive);
      if (names === undefined) byReceiver.set(receive, [channel]);
      else names.push(channel);
    }
    for (const [receive, names] of byReceiver) asked.push(listener.subscribe(names, receive));
  }
  await Promise.all(asked);
}

function ignore(): void {
  // Told elsewhere, or of no interest.
}
