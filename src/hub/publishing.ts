/**
 * From a publish to the topics. Live-only tags go straight to the distributor; what one turn publishes to tags with a
 * log goes to the broker in one call, and comes back by its feed.
 */
import type { Appended, Batch, Broker, Draft, RelayedMessage } from "../broker/broker.ts";
import type { ErrorCode } from "../core/codes.ts";
import { errors } from "../core/codes.ts";
import type { TagRule } from "../core/tag-rule.ts";
import type { Clock } from "../lib/clock.ts";
import type { Settle } from "../lib/settle.ts";
import { MessageView } from "../wire/frames.ts";
import type { ResultValue } from "../wire/messages.ts";
import { encodeMeta } from "../wire/meta.ts";
import type { Distributor } from "./distributor.ts";
import type { GapNotices } from "./gap-notices.ts";
import type { Space, TagState } from "./space.ts";
import type { NativeConnection, Publisher, Requester } from "./subscriber.ts";
import type { Topic } from "./topic.ts";

/** A message on its way to the broker, with whom to answer. */
export interface PublishDraft extends Draft {
  readonly publisher: Publisher;
  readonly ref: number;
  /** The socket that does not want its own message back. */
  readonly except: NativeConnection | null;
}

export class PendingBatch implements Batch<PublishDraft> {
  readonly state: TagState;
  readonly app: string;
  readonly tag: string;
  readonly rule: TagRule;
  readonly drafts: PublishDraft[] = [];

  constructor(state: TagState) {
    this.state = state;
    this.app = state.space.app;
    this.tag = state.tag;
    this.rule = state.rule;
  }
}

/** What is published: the payload's extent in `frame`, and what rides along. */
export interface Publication {
  readonly frame: Uint8Array;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  /** MessagePack map, or null. */
  readonly meta: Uint8Array | null;
  /** Idempotency id as the client gave it, or null. */
  readonly id: string | null;
  readonly except: NativeConnection | null;
}

export interface PublishingParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly distributor: Distributor;
  readonly notices: GapNotices;
  /** Asks that `flush` be called at the end of this turn. */
  readonly requestTurn: () => void;
  readonly settle: Settle;
}

export class Publishing {
  readonly counts = { messages: 0, bytes: 0, appended: 0, repeated: 0, refused: 0 };
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #distributor: Distributor;
  readonly #notices: GapNotices;
  readonly #requestTurn: () => void;
  readonly #settle: Settle;
  readonly #view = new MessageView();
  #pending: PendingBatch[] = [];
  /** Told in this turn that messages of other instances are missing. */
  readonly #told = new Set<Topic>();

  constructor(parts: PublishingParts) {
    this.#broker = parts.broker;
    this.#clock = parts.clock;
    this.#distributor = parts.distributor;
    this.#notices = parts.notices;
    this.#requestTurn = parts.requestTurn;
    this.#settle = parts.settle;
  }

  /** Publishes to a tag without a log: delivered (or gathered for this turn) on return. */
  deliver(state: TagState, what: Publication): void {
    let { frame, payloadStart: start, payloadEnd: payload, payloadEnd: end } = what;
    this.counts.messages++;
    this.counts.bytes += payload - start;
    if (what.meta !== null) {
      frame = joined(what);
      payload -= start;
      start = 0;
      end = frame.length;
    }
    this.#distributor.deliver(state, this.#view.set(state, 0, 0).body(frame, start, payload, end), null, what.except);
    if (this.#broker.relay !== undefined && !state.rule.local) {
      this.#broker.relay(state.space.app, state.tag, {
        bytes: what.meta === null ? joined(what) : frame,
        payloadLength: payload - start,
      });
    }
  }

  /** A live-only message of another instance: delivered (or gathered for this turn) on return. */
  relayed(space: Space, { tag, body }: RelayedMessage): void {
    const state = space.tag(tag);
    if (state.keepsLog || state.rule.local || state.topics.length === 0) return;
    if (body === null) return this.#missed(state);
    const { bytes, payloadLength } = body;
    this.#distributor.deliver(
      state,
      this.#view.set(state, 0, 0).body(bytes, 0, payloadLength, bytes.length),
      null,
      null,
    );
  }

  /** Many tags may be missed at once, and a pattern that matches them is told once. */
  #missed({ topics }: TagState): void {
    for (const topic of topics) {
      if (this.#told.has(topic)) continue;
      if (this.#told.size === 0) this.#clock.endOfTurn(() => this.#told.clear());
      this.#told.add(topic);
      this.#notices.cutOff(topic);
    }
  }

  /** Publishes to a tag with a log; `publisher` is told of the outcome by `ref`, in this turn or later. */
  append(state: TagState, what: Publication, publisher: Publisher, ref: number): void {
    this.counts.messages++;
    this.counts.bytes += what.payloadEnd - what.payloadStart;
    if (state.pending === null) {
      state.pending = new PendingBatch(state);
      if (this.#pending.push(state.pending) === 1) this.#requestTurn();
    }
    state.pending.drafts.push({
      body: { bytes: joined(what), payloadLength: what.payloadEnd - what.payloadStart },
      key: what.id === null ? null : `${publisher.identity.subject}\0${what.id}`,
      publisher,
      ref,
      except: what.except,
    });
  }

  /** Somebody is about to read a tag's log: what this turn published to it goes to the broker first. */
  settleTag(space: Space, tag: string): void {
    if (space.find(tag)?.pending) this.flush();
  }

  /** End of a turn: hands the broker what gathered. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const batches = this.#pending;
    this.#pending = [];
    for (const batch of batches) batch.state.pending = null;
    const answer = (answers: readonly Appended[]) => {
      for (let i = 0; i < batches.length; i++) this.#answer(batches[i] as PendingBatch, answers[i]);
    };
    const failed = () => {
      for (const batch of batches) this.#answer(batch, { error: errors.outcomeUnknown });
    };
    let answers: ReturnType<Broker["append"]>;
    try {
      answers = this.#broker.append(batches);
    } catch (error) {
      failed();
      throw error;
    }
    this.#settle(answers, answer, failed);
  }

  #answer(batch: PendingBatch, answer: Appended | undefined): void {
    for (let i = 0; i < batch.drafts.length; i++) {
      const { publisher, ref, except } = batch.drafts[i] as PublishDraft;
      const position = answer?.positions?.[i];
      if (position === undefined) this.#refuse(publisher, ref, answer?.error ?? errors.internal);
      else {
        if (position.repeated) this.counts.repeated++;
        else this.counts.appended++;
        // The feed may lose it, and the log does not know whose it is.
        if (except !== null && !position.repeated) batch.state.noteOwn(position.epoch, position.offset, except);
        publisher.appended(ref, position.epoch, position.offset, position.repeated);
      }
    }
  }

  #refuse(publisher: Publisher, ref: number, code: ErrorCode): void {
    this.counts.refused++;
    publisher.refused(ref, code);
  }
}

/** The meta that the copies of a publish to several tags share: the id given, else one of our own. */
export function sharedMeta(id: string | null, reply: string | null): Uint8Array {
  return encodeMeta({ id: id ?? randomId(), reply });
}

/** 72 random bits: the copies of one publish must not be taken for those of another. */
function randomId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(9))).toString("base64url");
}

/** Payload and meta in bytes of their own: nothing kept may pin the publisher's frame. */
function joined({ frame, payloadStart, payloadEnd, meta }: Publication): Uint8Array {
  const payloadLength = payloadEnd - payloadStart;
  const bytes = new Uint8Array(payloadLength + (meta === null ? 0 : meta.length));
  // Unlike `set`, needs no view.
  Buffer.prototype.copy.call(frame, bytes, 0, payloadStart, payloadEnd);
  if (meta !== null) bytes.set(meta, payloadLength);
  return bytes;
}

/** Collects the outcomes of one publish to several tags: one answer, with a position, nil or code per tag. */
export class SeveralTags implements Publisher {
  readonly identity: Publisher["identity"];
  readonly native: Publisher["native"];
  readonly pace: Publisher["pace"];
  readonly #requester: Requester;
  readonly #ref: number;
  readonly #results: ResultValue[];
  #open: number;

  constructor(publisher: Publisher & Requester, ref: number, tags: number) {
    this.identity = publisher.identity;
    this.native = publisher.native;
    this.pace = publisher.pace;
    this.#requester = publisher;
    this.#ref = ref;
    this.#results = new Array(tags).fill(null);
    this.#open = tags;
  }

  /** `ref` is the index of the tag here. */
  appended(index: number, epoch: number, offset: number): void {
    this.#results[index] = [epoch, offset];
    this.done();
  }

  refused(index: number, code: ErrorCode): void {
    this.#results[index] = code.code;
    // With ref 0 there is no answer that would tell of it.
    if (this.#ref === 0) this.#requester.refused(0, code);
    this.done();
  }

  /** One more tag is settled. */
  done(): void {
    if (--this.#open === 0) this.#requester.answered(this.#ref, { results: this.#results });
  }
}
