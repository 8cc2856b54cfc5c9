/** What the hub asks of those it serves: contracts that `session` and the gateways implement. */
import type { ErrorCode, UnsubscribeCode } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import type { Position } from "../core/position.ts";
import type { FrameTarget } from "../wire/frame-target.ts";
import type { Frames } from "../wire/frames.ts";
import type { ResultValue, SubscribeMessage } from "../wire/messages.ts";
import type { Alias } from "./alias.ts";
import type { TagState } from "./space.ts";

/** The native side of a WebSocket: topics that the runtime fans out by itself. */
export interface NativeConnection extends FrameTarget {
  /** The listener that the socket belongs to. */
  readonly server: NativeServer;
  /** Bytes that the runtime holds for this socket (what the kernel holds is not visible). */
  bufferedBytes(): number;
  joinTopic(topic: string): void;
  leaveTopic(topic: string): void;
  /** Publishes to all of `topic` on the same listener but this socket. */
  publishToOthers(topic: string, frame: Uint8Array | string): void;
  /** Sends what is written meanwhile in as few system calls as possible. */
  cork(run: () => void): void;
  /** Stops and resumes reading from the socket. */
  pause(): void;
  resume(): void;
}

/** All native topics of one listener. */
export interface NativeServer {
  publish(topic: string, frame: Uint8Array | string): void;
}

/** Somebody who publishes: told by `ref` what became of each publish. */
export interface Publisher {
  /** The subject part of idempotency keys. */
  readonly identity: Identity;
  /** Its socket, if it has one that `echo: false` can leave out. */
  readonly native: NativeConnection | null;
  /** The tag of this `ref` keeps a log and has the message. */
  appended(ref: number, epoch: number, offset: number, repeated: boolean): void;
  refused(ref: number, code: ErrorCode): void;
  /** Absent: it is slowed down in another way, or not at all. */
  readonly pace?: PublisherPace | undefined;
}

/** How a publisher is slowed down. */
export interface PublisherPace {
  /** What it just published goes to so many topics, and costs as much. */
  charge(topics: number): void;
  /** So much waits to be sent that it is to publish no more until it is relieved. */
  holdBack(): void;
  relieved(): void;
}

/** Where deliveries go: the part of `Frames` that they need. */
export interface Deliveries extends Pick<
  Frames,
  "lane" | "waiting" | "message" | "gap" | "presence" | "unsubscribed" | "flush"
> {
  /**
   * Called where somebody needs to know from which position on a log is delivered, before anything else of that log.
   * What was lost before it is told by `gap`.
   */
  startsAt?(tag: string, position: Position): void;
}

/** Somebody who subscribes. */
export interface Subscriber {
  readonly identity: Identity;
  /** Null: served from JavaScript throughout (event streams). */
  readonly native: NativeConnection | null;
  /** Answers, and messages that do not come from native topics, in order. */
  readonly frames: Deliveries;
  /** Where one subscription has deliveries of its own; they wait and are flushed with `frames`. */
  deliveriesOf?(pattern: string): Deliveries | undefined;
  /** What gives aliases to tags where the subscriber wants them: the one of a tag, or null where it is to go by its name. */
  readonly aliases?: { give(state: TagState): Alias | null } | null;
  /** Name and number by which members see this connection. */
  readonly client: string;
  readonly generation: number;
  /** Its private reply tags, `$reply/` and 32 hexadecimal digits, or null. */
  readonly replyPrefix: string | null;
  /** Bytes sent but not taken yet. */
  bufferedBytes(): number;
  /** Asks for `frames.flush()` at the end of this turn, after the topics. */
  flushLater(): void;
  /** The hub ended a subscription by itself. */
  unsubscribed(pattern: string, code: UnsubscribeCode): void;
  /** It has read too slowly for too long. */
  tooSlow(): void;
}

/** What a subscriber asks for: as by op 2, and what only gateways may add. */
export interface SubscribeRequest extends SubscribeMessage {
  /**
   * The map `since` names every log of the pattern that there was: what the others hold by now was published since then,
   * and is delivered.
   */
  readonly sinceNamesAll?: boolean;
}

/** How a request ends, by ref; the answers of requests that need the broker may come in a later turn. */
export interface Requester {
  answered(ref: number, result: ResultValue): void;
  refused(ref: number, code: ErrorCode, text?: string): void;
}

/** Where what is delivered to one subscription goes. */
export function deliveriesOf(subscriber: Subscriber, pattern: string): Deliveries {
  return subscriber.deliveriesOf?.(pattern) ?? subscriber.frames;
}
