/**
 * Fan-out: one message to the topics that match it, encoded once per lane, gathered per topic, published natively.
 * Bytes that go out in one turn are bounded, so that no socket passes from its soft mark to its hard one unseen.
 */
import type { MessageView } from "../wire/frames.ts";
import type { Stored } from "../broker/broker.ts";
import type { TagState } from "./space.ts";
import type { NativeConnection, NativeServer } from "./subscriber.ts";
import type { FrameOutlet, LaneTopic, Topic } from "./topic.ts";

/** Unique bytes published natively in one turn; the rest waits for the next. */
export const turnBytesMax = 1024 * 1024;

export class Distributor implements FrameOutlet {
  /** Plain counters, read by metrics. */
  readonly counts = { frames: 0, bytes: 0, deferredFrames: 0 };
  /** Bytes that wait for a later turn. */
  backlogBytes = 0;
  /** Unique bytes published since the owner last set it to 0. */
  bytesSinceSweep = 0;
  readonly #servers: NativeServer[] = [];
  readonly #requestTurn: () => void;
  #dirty: LaneTopic[] = [];
  #deferring: LaneTopic[] = [];
  #turnBytes = 0;

  /** @param requestTurn asks that `flush` be called at the end of this turn */
  constructor(requestTurn: () => void) {
    this.#requestTurn = requestTurn;
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
    const topics = state.topics;
    for (let i = 0; i < topics.length; i++) {
      const topic = topics[i] as Topic;
      if (topic.msgpack !== null) this.#gather(topic.msgpack, except).message(view, topic.name);
      if (topic.json !== null) this.#gather(topic.json, except).message(view, topic.name);
      if (topic.sinks.size > 0) for (const sink of topic.sinks) sink.offer(state, view, stored, except);
    }
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
    const bytes = frame.length;
    if (lane.deferred.length > 0 || (this.#turnBytes > 0 && this.#turnBytes + bytes > turnBytesMax)) {
      if (lane.deferred.push({ frame: typeof frame === "string" ? frame : frame.slice(), except: lane.except }) === 1) {
        if (this.#deferring.push(lane) === 1) this.#requestTurn();
      }
      this.backlogBytes += bytes;
      this.counts.deferredFrames++;
      return;
    }
    this.#send(lane.name, frame, lane.except);
  }

  /** End of a turn: publishes what gathered, then what the budget allows of what was deferred. */
  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const lane of dirty) {
      lane.dirty = false;
      lane.frames.flush();
    }
    this.#turnBytes = 0;
    if (this.#deferring.length > 0) this.#sendDeferred();
  }

  /** Publishes everything of a lane at once, for a subscriber that is about to join or leave. */
  flushLane(lane: LaneTopic | null): void {
    if (lane === null) return;
    this.#drain(lane, Number.POSITIVE_INFINITY);
    const before = this.#turnBytes;
    this.#turnBytes = 0;
    lane.frames.flush();
    this.#turnBytes += before;
  }

  flushTopic(topic: Topic): void {
    this.flushLane(topic.msgpack);
    this.flushLane(topic.json);
  }

  #sendDeferred(): void {
    const waiting = this.#deferring;
    this.#deferring = [];
    for (const lane of waiting) {
      this.#drain(lane, turnBytesMax);
      if (lane.deferred.length > 0) this.#deferring.push(lane);
    }
    if (this.#deferring.length > 0) this.#requestTurn();
  }

  /** Publishes deferred frames of a lane, oldest first, while the turn has sent less than `budget`. */
  #drain(lane: LaneTopic, budget: number): void {
    let sent = 0;
    while (sent < lane.deferred.length && (this.#turnBytes === 0 || this.#turnBytes < budget)) {
      const { frame, except } = lane.deferred[sent++] as LaneTopic["deferred"][number];
      this.backlogBytes -= frame.length;
      this.#send(lane.name, frame, except);
    }
    if (sent > 0) lane.deferred = lane.deferred.slice(sent);
  }

  #send(topic: string, frame: Uint8Array | string, except: NativeConnection | null): void {
    const bytes = frame.length;
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
