/**
 * Fan-out: one message to the topics that match it, encoded once per lane, gathered per topic, published natively.
 * Bytes that go out in one turn are bounded, so that no socket passes from its soft mark to its hard one unseen.
 */
import { gaps } from "../core/codes.ts";
import { assert } from "../lib/assert.ts";
import { copyOf } from "../lib/bytes.ts";
import { Ring } from "../lib/ring.ts";
import type { MessageView } from "../wire/frames.ts";
import type { Stored } from "../broker/broker.ts";
import type { TagState } from "./space.ts";
import type { NativeConnection, NativeServer } from "./subscriber.ts";
import type { FrameOutlet, LaneTopic, Topic } from "./topic.ts";

/** Unique bytes published natively in one turn; the rest waits for the next. */
export const turnBytesMax = 1024 * 1024;

/** A frame over the budget of its turn. */
interface Deferred {
  readonly lane: LaneTopic;
  /** Bytes of its own: those it came in are written to again. */
  readonly frame: Uint8Array | string;
  readonly except: NativeConnection | null;
}

export class Distributor implements FrameOutlet {
  /** Plain counters, read by metrics. */
  readonly counts = { frames: 0, bytes: 0, deferredFrames: 0, droppedFrames: 0 };
  /** Messages, and bytes of frames, times the sockets that had joined the topic. */
  readonly delivered = { msgpack: 0, json: 0 };
  readonly sentBytes = { msgpack: 0, json: 0 };
  /** Gaps told to subscribers, by code. */
  readonly gaps: Record<number, number> = {};
  /** Bytes that wait for a later turn. */
  backlogBytes = 0;
  /** Unique bytes published since the owner last set it to 0. */
  bytesSinceSweep = 0;
  readonly #servers: NativeServer[] = [];
  readonly #requestTurn: () => void;
  readonly #backlogMaxBytes: number;
  #dirty: LaneTopic[] = [];
  /** Oldest first, over all topics: while anything waits, what comes waits behind it. */
  readonly #deferred = new Ring<Deferred>();
  #turnBytes = 0;
  /** A frame is to leave whatever the budget says. */
  #urgent = false;

  /**
   * @param requestTurn asks that `flush` be called at the end of this turn
   * @param backlogMaxBytes that may wait for a later turn; what is beyond it is dropped, and told by a gap
   */
  constructor(requestTurn: () => void, backlogMaxBytes = Infinity) {
    this.#requestTurn = requestTurn;
    this.#backlogMaxBytes = backlogMaxBytes;
  }

  /** Native topics live per listener: every message goes to all of them. */
  addServer(server: NativeServer): void {
    this.#servers.push(server);
  }

  removeServer(server: NativeServer): void {
    const at = this.#servers.indexOf(server);
    if (at >= 0) this.#servers.splice(at, 1);
  }

  /** Delivers to everybody here. `stored` is the kept message where the tag has a log. */
  deliver(state: TagState, view: MessageView, stored: Stored | null, except: NativeConnection | null): void {
    const { only } = state;
    let sinks = 0;
    if (only !== null) sinks = this.#toLanes(only, view, except);
    else for (const topic of state.topics) sinks += this.#toLanes(topic, view, except);
    if (sinks === 0) return;
    for (const topic of state.topics) for (const sink of topic.sinks) sink.offer(state, view, stored, except);
  }

  /** How many sinks the topic has beside its lanes. */
  #toLanes(topic: Topic, view: MessageView, except: NativeConnection | null): number {
    if (topic.msgpack !== null) {
      this.delivered.msgpack += topic.msgpack.members;
      this.#gather(topic.msgpack, except).message(view, topic.name);
    }
    if (topic.json !== null) {
      this.delivered.json += topic.json.members;
      this.#gather(topic.json, except).message(view, topic.name);
    }
    if (topic.aliased !== null) this.#toAliased(topic, topic.aliased, view, except);
    return topic.sinks.size;
  }

  #toAliased({ alias }: Topic, lane: LaneTopic, view: MessageView, except: NativeConnection | null): void {
    assert(alias !== null, "a topic with an aliased lane has an alias");
    this.delivered.msgpack += lane.members;
    const { tag } = view;
    view.tag = alias;
    this.#gather(lane, except).message(view, null);
    view.tag = tag;
  }

  /** `subscribers` are told of a gap. */
  countGap(code: number, subscribers = 1): void {
    this.gaps[code] = (this.gaps[code] ?? 0) + subscribers;
  }

  /** The frames of a lane, ready to take a message that is not for `except`. */
  #gather(lane: LaneTopic, except: NativeConnection | null): LaneTopic["frames"] {
    if (lane.except !== except) {
      lane.frames.flush();
      lane.except = except;
    }
    if (!lane.dirty) {
      lane.dirty = true;
      if (this.#dirty.push(lane) === 1) this.#requestTurn();
    }
    return lane.frames;
  }

  /** The frames of a lane for something other than a message (a gap, presence): for everybody. */
  gather(lane: LaneTopic): LaneTopic["frames"] {
    return this.#gather(lane, null);
  }

  /** Publishes a frame now, or defers it where the turn's budget is spent. */
  publish(lane: LaneTopic, frame: Uint8Array | string): void {
    const isOver = this.#deferred.length > 0 || !this.#affords(frame.length);
    if (lane.deferred > 0 || (isOver && !this.#urgent)) this.#defer(lane, frame);
    else this.#send(lane, frame, lane.except);
  }

  /**
   * End of a turn: publishes what gathered, behind what was deferred, as far as the budget goes. How many topics had gathered.
   * @throws what the first lane that failed threw, once all others had their turn
   */
  flush(): number {
    const dirty = this.#dirty;
    this.#dirty = [];
    const failures: unknown[] = [];
    for (const lane of dirty) {
      lane.dirty = false;
      try {
        lane.frames.flush();
      } catch (error) {
        failures.push(error);
      }
    }
    try {
      if (this.#deferred.length > 0) this.#sendDeferred();
    } finally {
      if (this.#deferred.length > 0) this.#requestTurn();
      this.#turnBytes = 0;
    }
    if (failures.length > 0) throw failures[0];
    return dirty.length;
  }

  /**
   * Publishes at once what gathered in a lane, for a subscriber that is about to join or leave: at most eight frames (32 KiB), so
   * the budget is not looked at. False: some of the lane is deferred, and whoever joined now would get it.
   */
  flushLane(lane: LaneTopic | null): boolean {
    if (lane === null) return true;
    this.#urgent = true;
    try {
      lane.frames.flush();
    } finally {
      this.#urgent = false;
    }
    return lane.deferred === 0;
  }

  /** The deferred frames of a lane that are for `connection`, oldest first: what it would miss by leaving now. */
  deferredFor(lane: LaneTopic | null, connection: NativeConnection): (Uint8Array | string)[] {
    const frames: (Uint8Array | string)[] = [];
    if (lane === null || lane.deferred === 0) return frames;
    for (let i = 0; i < this.#deferred.length; i++) {
      const deferred = this.#deferred.at(i);
      if (deferred?.lane === lane && deferred.except !== connection) frames.push(deferred.frame);
    }
    return frames;
  }

  /** Whether `bytes` more may leave in this turn. A frame larger than the budget has a turn to itself. */
  #affords(bytes: number): boolean {
    return this.#turnBytes === 0 || this.#turnBytes + bytes <= turnBytesMax;
  }

  #defer(lane: LaneTopic, frame: Uint8Array | string): void {
    if (this.backlogBytes + frame.length > this.#backlogMaxBytes && lane.carriesMessages) return this.#drop(lane);
    lane.loses = false;
    this.#wait(lane, typeof frame === "string" ? frame : copyOf(frame), lane.except);
  }

  /** There is no room for a frame: one gap stands for all that are dropped in a row. */
  #drop(lane: LaneTopic): void {
    this.counts.droppedFrames++;
    if (lane.loses) return;
    lane.loses = true;
    this.countGap(gaps.overloaded.code, lane.members);
    this.#wait(lane, lane.lossFrame(), null);
  }

  #wait(lane: LaneTopic, frame: Uint8Array | string, except: NativeConnection | null): void {
    this.#deferred.push({ lane, frame, except });
    lane.deferred++;
    this.backlogBytes += frame.length;
    this.counts.deferredFrames++;
    this.#requestTurn();
  }

  #sendDeferred(): void {
    for (let next = this.#deferred.at(0); next !== undefined; next = this.#deferred.at(0)) {
      const { lane, frame, except } = next;
      // Where everybody has left, a topic of the same name may have been joined since by somebody it is not meant for.
      const wanted = lane.members > 0;
      if (wanted && !this.#affords(frame.length)) break;
      this.#deferred.shift();
      if (--lane.deferred === 0) lane.loses = false;
      this.backlogBytes -= frame.length;
      if (wanted) this.#send(lane, frame, except);
    }
  }

  #send(lane: LaneTopic, frame: Uint8Array | string, except: NativeConnection | null): void {
    const topic = lane.name;
    const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
    this.sentBytes[lane.frames.lane] += bytes * lane.members;
    this.#turnBytes += bytes;
    this.bytesSinceSweep += bytes;
    this.counts.frames++;
    this.counts.bytes += bytes;
    for (let i = 0; i < this.#servers.length; i++) {
      const server = this.#servers[i] as NativeServer;
      if (except !== null && except.server === server) except.publishToOthers(topic, frame);
      else server.publish(topic, frame);
    }
  }
}
