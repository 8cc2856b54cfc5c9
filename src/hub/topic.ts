/**
 * A topic is one pattern that somebody on this instance subscribes to, fanned out in as many lanes as have listeners:
 *
 *   Topic plant/+/temp ─┬─ msgpack lane ─ native topic "m\0main\0plant/+/temp" ─ sockets
 *                       ├─ json lane    ─ native topic "j\0main\0plant/+/temp" ─ sockets
 *                       ├─ aliased lane ─ MessagePack with a number for the tag; only where the pattern is a tag
 *                       └─ sinks: subscribers that are served from JavaScript for now
 *
 * Messages gather in the lane's frames and are published natively when 4 KiB are full and at the end of the turn.
 */
import { gaps } from "../core/codes.ts";
import { hasWildcard } from "../core/tag.ts";
import type { FrameTarget } from "../wire/frame-target.ts";
import type { Frames, PatternName, TagHead } from "../wire/frames.ts";
import { createFrames } from "../wire/frames.ts";
import { copyOf } from "../lib/bytes.ts";
import type { Lane } from "../wire/messages.ts";
import { encodePattern } from "../wire/write-msgpack.ts";
import type { Sink } from "./sink.ts";
import type { NativeConnection } from "./subscriber.ts";

/** Takes finished frames of lanes to the native servers. */
export interface FrameOutlet {
  publish(lane: LaneTopic, frame: Uint8Array | string): void;
}

/** What a native topic carries; the first letter of its name. */
const kinds = { messages: { msgpack: "m", json: "j", aliased: "a" }, presence: { msgpack: "M", json: "J" } } as const;

/** A form of the wire, or the one in which an alias stands for the tag. */
export type TopicLane = Lane | "aliased";

/** One native topic. */
export class LaneTopic implements FrameTarget {
  readonly name: string;
  readonly frames: Frames;
  /** Sockets that have joined it. */
  members = 0;
  /** The socket that the gathered messages are not for. */
  except: NativeConnection | null = null;
  /** Whether it is listed for the flush at the end of the turn. */
  dirty = false;
  /** Its frames that wait for a later turn. */
  deferred = 0;
  /** Whether the last of them tells that what follows was dropped. */
  loses = false;
  /** Whether it is for messages, not for presence. */
  readonly carriesMessages: boolean;
  readonly #outlet: FrameOutlet;

  constructor(name: string, lane: TopicLane, outlet: FrameOutlet) {
    this.name = name;
    this.frames = createFrames(lane === "json" ? "json" : "msgpack", this);
    this.carriesMessages = name.startsWith(kinds.messages[lane]);
    this.#outlet = outlet;
  }

  /** A frame that tells of messages that were dropped, nobody can say which. */
  lossFrame(): Uint8Array | string {
    const [, , pattern = ""] = this.name.split("\0");
    let told: Uint8Array | string = "";
    const frames = createFrames(this.frames.lane, {
      write: (frame) => void (told = typeof frame === "string" ? frame : copyOf(frame)),
    });
    frames.gap(pattern, null, null, { code: gaps.overloaded.code });
    frames.flush();
    return told;
  }

  write(frame: Uint8Array | string): void {
    this.#outlet.publish(this, frame);
  }
}

const noSinks: ReadonlySet<Sink> = new Set();

export class Topic {
  readonly app: string;
  readonly pattern: string;
  /** Set where copies name the pattern. */
  readonly name: PatternName | null;
  /** Lanes that have members, for messages. */
  msgpack: LaneTopic | null = null;
  json: LaneTopic | null = null;
  aliased: LaneTopic | null = null;
  /** What stands for the tag in the aliased lane; set before anybody joins it. */
  alias: TagHead | null = null;
  /** Lanes that have members, for presence events. */
  presenceMsgpack: LaneTopic | null = null;
  presenceJson: LaneTopic | null = null;
  /** Null: none. Most topics never have any, and a publish would have to look at an empty set of each. */
  #sinks: Set<Sink> | null = null;
  /** Subscriptions that hold this topic, in whatever state; the broker's interest lives as long. */
  holders = 0;
  /**
   * Whether the logs that match this wildcard were once listed without a remainder: a log that turns up later and was
   * not listed was empty then.
   */
  listedAll = false;
  /** Settled once the broker has confirmed the interest. */
  interest: Promise<void> | "confirmed" | "none" = "none";

  constructor(app: string, pattern: string) {
    this.app = app;
    this.pattern = pattern;
    this.name = hasWildcard(pattern) ? { pattern, encoded: encodePattern(pattern) } : null;
  }

  get sinks(): ReadonlySet<Sink> {
    return this.#sinks ?? noSinks;
  }

  addSink(sink: Sink): void {
    this.#sinks ??= new Set();
    this.#sinks.add(sink);
  }

  deleteSink(sink: Sink): void {
    this.#sinks?.delete(sink);
    if (this.#sinks?.size === 0) this.#sinks = null;
  }

  /** The lanes that have members, for messages. */
  *lanes(): Iterable<LaneTopic> {
    if (this.msgpack !== null) yield this.msgpack;
    if (this.json !== null) yield this.json;
    if (this.aliased !== null) yield this.aliased;
  }

  join(connection: NativeConnection, lane: TopicLane, outlet: FrameOutlet): void {
    const topic = this[lane] ?? (this[lane] = new LaneTopic(this.#name(kinds.messages[lane]), lane, outlet));
    topic.members++;
    connection.joinTopic(topic.name);
  }

  leave(connection: NativeConnection, lane: TopicLane): void {
    const topic = this[lane];
    if (topic === null) return;
    connection.leaveTopic(topic.name);
    if (--topic.members === 0) this[lane] = null;
  }

  joinPresence(connection: NativeConnection, lane: Lane, outlet: FrameOutlet): void {
    const key = lane === "msgpack" ? "presenceMsgpack" : "presenceJson";
    const topic = this[key] ?? (this[key] = new LaneTopic(this.#name(kinds.presence[lane]), lane, outlet));
    topic.members++;
    connection.joinTopic(topic.name);
  }

  leavePresence(connection: NativeConnection, lane: Lane): void {
    const key = lane === "msgpack" ? "presenceMsgpack" : "presenceJson";
    const topic = this[key];
    if (topic === null) return;
    connection.leaveTopic(topic.name);
    if (--topic.members === 0) this[key] = null;
  }

  #name(kind: string): string {
    return `${kind}\0${this.app}\0${this.pattern}`;
  }
}
