/**
 * The tag space of one application on this instance: its rules, its topics, and what is known of the tags in use.
 * A `TagState` is the meeting point of a publish: found by name once, it carries everything the next message needs.
 */
import type { TagRule } from "../core/tag-rule.ts";
import { PatternTrie } from "../core/pattern-trie.ts";
import { ruleOf } from "../core/tag-rule.ts";
import { matches } from "../core/tag.ts";
import type { TagHead } from "../wire/frames.ts";
import { encodeTagHead } from "../wire/write-msgpack.ts";
import type { LocalLog, TailBudget } from "./local-log.ts";
import { OwnMessages } from "./own-messages.ts";
import type { PendingBatch } from "./publishing.ts";
import type { NativeConnection } from "./subscriber.ts";
import { Topic } from "./topic.ts";

/** States of tags that nobody here subscribes to by name; beyond it the least recently made are forgotten. */
const idleTagsMax = 65_536;
/** States looked at when one is to be forgotten. */
const evictionScan = 16;

export class TagState implements TagHead {
  readonly space: Space;
  readonly tag: string;
  /** Ends with the bytes of the tag. */
  readonly head: Uint8Array;
  /** Length of the tag in UTF-8. */
  readonly tagBytes: number;
  readonly rule: TagRule;
  /** The topic of the tag itself, if somebody subscribes to it by name. */
  exact: Topic | null = null;
  /** How far this instance has served the tag's log; null without a log or without interest. */
  log: LocalLog | null = null;
  /** What this turn publishes to the tag's log. */
  pending: PendingBatch | null = null;
  /** Messages in the log, and not served yet, that their publishers do not want back; null: none. */
  own: OwnMessages | null = null;
  /** True once forgotten: whoever still holds it asks the space for a new one. */
  forgotten = false;
  #topics: readonly Topic[] = [];
  #generation = -1;

  constructor(space: Space, tag: string) {
    this.space = space;
    this.tag = tag;
    this.head = encodeTagHead(tag);
    this.tagBytes = Buffer.byteLength(tag);
    this.rule = ruleOf(space.rules, tag);
  }

  get keepsLog(): boolean {
    return this.rule.history !== null;
  }

  /** The topics that match this tag: its own and those of wildcards. Cached until the wildcards of the space change. */
  get topics(): readonly Topic[] {
    if (this.#generation !== this.space.generation) this.rematch();
    return this.#topics;
  }

  /** Notes that `owner` does not want back the message at a position, unless it was served or nobody listens. */
  noteOwn(epoch: number, offset: number, owner: NativeConnection): void {
    const { log } = this;
    if (this.topics.length === 0 || (log?.epoch === epoch && offset <= log.top)) return;
    this.own ??= new OwnMessages();
    this.own.note(epoch, offset, owner);
  }

  /** Nobody listens any more. */
  forgetLog(): void {
    this.log = null;
    this.own = null;
  }

  rematch(): void {
    const found: Topic[] = this.exact === null ? [] : [this.exact];
    this.space.wildcards.match(this.tag, found);
    this.#topics = found;
    this.#generation = this.space.generation;
  }
}

export class Space {
  readonly app: string;
  readonly rules: readonly TagRule[];
  readonly wildcards = new PatternTrie<Topic>();
  readonly tails: TailBudget = { bytes: 0 };
  /** Grows whenever a wildcard pattern comes or goes. */
  generation = 0;
  /** Whether the state of some tag was ever given up to bound memory. */
  forgot = false;
  readonly #tags = new Map<string, TagState>();
  #topics = 0;

  constructor(app: string, rules: readonly TagRule[]) {
    this.app = app;
    this.rules = rules;
  }

  get topicCount(): number {
    return this.#topics;
  }

  /** The state of a valid tag. */
  tag(tag: string): TagState {
    const known = this.#tags.get(tag);
    if (known !== undefined) return known;
    const state = new TagState(this, tag);
    this.#tags.set(tag, state);
    if (this.#tags.size > idleTagsMax + this.#topics) this.#forgetSome();
    return state;
  }

  find(tag: string): TagState | null {
    return this.#tags.get(tag) ?? null;
  }

  /** The topic of a valid pattern, made if it is not there; `holders` is the caller's to count. */
  topic(pattern: string, wildcard: boolean): Topic {
    if (wildcard) {
      const known = this.wildcards.get(pattern);
      if (known !== null) return known;
      const topic = new Topic(this.app, pattern);
      this.wildcards.add(pattern, topic);
      this.generation++;
      this.#topics++;
      return topic;
    }
    const state = this.tag(pattern);
    if (state.exact !== null) return state.exact;
    state.exact = new Topic(this.app, pattern);
    state.rematch();
    this.#topics++;
    return state.exact;
  }

  /** Takes a topic without holders away, with the log states that nothing is interested in any more. */
  removeTopic(topic: Topic): void {
    this.#topics--;
    if (topic.name === null) {
      const state = this.tag(topic.pattern);
      state.exact = null;
      state.rematch();
      if (state.topics.length === 0) state.forgetLog();
      return;
    }
    this.wildcards.delete(topic.pattern);
    this.generation++;
    for (const state of this.#tags.values()) {
      if (state.log === null && state.own === null) continue;
      if (matches(topic.pattern, state.tag) && state.topics.length === 0) state.forgetLog();
    }
  }

  /** All topics with the state of their tag, null for wildcards. In no order. */
  *topics(): Iterable<readonly [Topic, TagState | null]> {
    for (const state of this.#tags.values()) if (state.exact !== null) yield [state.exact, state];
    for (const topic of this.wildcards.values()) yield [topic, null];
  }

  /** All tags with a log state here. */
  *logged(): Iterable<TagState> {
    for (const state of this.#tags.values()) if (state.log !== null) yield state;
  }

  #forgetSome(): void {
    let looked = 0;
    for (const [tag, state] of this.#tags) {
      if (++looked > evictionScan) return;
      this.#tags.delete(tag);
      if (state.exact === null && state.pending === null && !state.log?.busy) {
        state.forgotten = true;
        this.forgot = true;
        return;
      }
      this.#tags.set(tag, state);
    }
  }
}
