/**
 * The tag space of one application on this instance: its rules, its topics, and what is known of the tags in use.
 * A `TagState` is the meeting point of a publish: found by name once, it carries everything the next message needs.
 */
import type { LogTop } from "../broker/broker.ts";
import type { TagRule } from "../core/tag-rule.ts";
import { PatternTrie } from "../core/pattern-trie.ts";
import { liveOnly, ruleOf } from "../core/tag-rule.ts";
import { covers, firstLevel, intersects, matches } from "../core/tag.ts";
import { Oldest } from "../lib/oldest.ts";
import type { TagHead } from "../wire/frames.ts";
import { encodeTagHead } from "../wire/write-msgpack.ts";
import type { Alias } from "./alias.ts";
import { AliasNumbers } from "./alias.ts";
import { type KnownTop, KnownTops } from "./known-tops.ts";
import type { TailBudget } from "./local-log.ts";
import { LocalLog } from "./local-log.ts";
import { Matches } from "./matches.ts";
import { OwnMessages } from "./own-messages.ts";
import type { PendingBatch } from "./publishing.ts";
import type { SpaceLimits, SpaceMeter, Wish } from "./space-limits.ts";
import { assertRoom, bounded } from "./space-limits.ts";
import type { NativeConnection } from "./subscriber.ts";
import { Topic } from "./topic.ts";

const noTopics: readonly Topic[] = [];
/** States looked at when one is to be forgotten. */
const evictionScan = 16;

export class TagState implements TagHead {
  readonly space: Space;
  readonly tag: string;
  /** Length of the tag in UTF-8. */
  readonly tagBytes: number;
  readonly rule: TagRule;
  /** The topic of the tag itself, if somebody subscribes to it by name. */
  exact: Topic | null = null;
  /** What this turn publishes to the tag's log. */
  pending: PendingBatch | null = null;
  /** Messages in the log, and not served yet, that their publishers do not want back; null: none. */
  own: OwnMessages | null = null;
  /** True once forgotten: whoever still holds it asks the space for a new one. */
  forgotten = false;
  #head: Uint8Array | null = null;
  #alias: Alias | null = null;
  #log: LocalLog | null = null;
  #topics: readonly Topic[] = noTopics;
  #only: Topic | null = null;
  #generation = -1;

  constructor(space: Space, tag: string) {
    this.space = space;
    this.tag = tag;
    this.tagBytes = Buffer.byteLength(tag);
    this.rule = ruleOf(space.rules, tag);
  }

  /** Ends with the bytes of the tag. Made when it is needed, also by a sink that still lags behind on a tag that was forgotten. */
  get head(): Uint8Array {
    return (this.#head ??= encodeTagHead(this.tag));
  }

  get keepsLog(): boolean {
    return this.rule.history !== null;
  }

  /** How far this instance has served the tag's log; null without a log or without interest. */
  get log(): LocalLog | null {
    return this.#log;
  }

  set log(log: LocalLog | null) {
    const was = this.#log;
    this.#log = log;
    if ((was === null) !== (log === null)) this.space.noteLogged(this);
  }

  /** What may stand for the tag where a connection was told so; null: there are no more. */
  get alias(): Alias | null {
    return (this.#alias ??= this.space.aliases.next(this.tag));
  }

  /** The topics that match this tag: its own and those of wildcards. Cached until the wildcards of the space change. */
  get topics(): readonly Topic[] {
    if (this.#generation !== this.space.generation) this.rematch();
    return this.#topics;
  }

  /** The topic that matches this tag, where just one does: most often so, and a publish then looks at no list. */
  get only(): Topic | null {
    if (this.#generation !== this.space.generation) this.rematch();
    return this.#only;
  }

  /** Whether nothing would be lost with it but time, and how far its log was served. */
  get isIdle(): boolean {
    return this.exact === null && this.pending === null && !this.#log?.busy && this.own?.isEmpty !== false;
  }

  /** Notes that `owner` does not want back the message at a position, unless it was served or nobody listens. */
  noteOwn(epoch: number, offset: number, owner: NativeConnection): void {
    const { log } = this;
    if (this.forgotten) return this.space.tag(this.tag).noteOwn(epoch, offset, owner);
    if (this.topics.length === 0 || (log?.epoch === epoch && offset <= log.top)) return;
    if (this.own === null) {
      this.own = new OwnMessages();
      this.space.noteLogged(this);
    }
    this.own.note(epoch, offset, owner);
  }

  /** Nobody listens any more. */
  forgetLog(): void {
    this.own = null;
    this.#log = null;
    this.space.noteLogged(this);
  }

  rematch(): void {
    const found: Topic[] = this.exact === null ? [] : [this.exact];
    this.space.wildcards.match(this.tag, found);
    const before = this.#topics.length;
    this.#topics = found;
    this.#only = found.length === 1 ? (found[0] ?? null) : null;
    this.#generation = this.space.generation;
    if (found.length > 1 || before > 1) this.space.matches.note(this, before, found.length);
  }

  /** Lets go of the topics that match, until somebody asks for them again. How many they were. */
  forgetMatches(): number {
    const { length } = this.#topics;
    this.#topics = noTopics;
    this.#only = null;
    this.#generation = -1;
    return length;
  }

  /** Sessions may hold it for long after it was forgotten: it is to be small. */
  forget(): void {
    this.forgotten = true;
    this.#head = null;
    this.space.noteLogged(this);
  }
}

export class Space {
  readonly app: string;
  readonly rules: readonly TagRule[];
  readonly wildcards = new PatternTrie<Topic>();
  readonly tails: TailBudget = { bytes: 0 };
  readonly aliases = new AliasNumbers();
  /** Grows whenever a wildcard pattern comes or goes. */
  generation = 0;
  /** Whether the position of some log was given up to bound memory, while wildcards may be served from it. */
  forgot = false;
  /** How far logs were served whose tags have no state. */
  readonly forgottenLogs = new KnownTops();
  /** Wildcards with more logs than are noted one by one. */
  readonly untraceable = new WeakSet<Topic>();
  readonly #tags = new Map<string, TagState>();
  readonly #oldest = new Oldest(() => this.#tags.values());
  /** States with something to let go of when nobody listens any more, by the first level of their tags. */
  readonly #logged = new Map<string, Set<TagState>>();
  /** The generation at which each wildcard came. */
  readonly #begun = new Map<Topic, number>();
  readonly #limits: Required<SpaceLimits>;
  readonly matches: Matches;
  /** Subscriptions, and how many of them make a member of a tag. */
  subscriptions = 0;
  members = 0;
  #topics = 0;

  constructor(app: string, rules: readonly TagRule[], limits: SpaceLimits = {}) {
    this.app = app;
    this.rules = rules;
    this.#limits = bounded(limits);
    this.matches = new Matches(this.#limits.matchesMax);
  }

  get topicCount(): number {
    return this.#topics;
  }

  meter(): SpaceMeter {
    return {
      subscriptions: this.subscriptions,
      tags: this.#tags.size,
      positions: this.forgottenLogs.size,
      patternLevels: this.wildcards.levels,
      matches: this.matches.count,
      tailBytes: this.tails.bytes,
    };
  }

  /** Whether one more subscription has room. @throws ProtocolError `limitExceeded` */
  assertRoom(wish: Wish): void {
    assertRoom(this.#limits, this, wish);
  }

  /** The state of a valid tag. */
  tag(tag: string): TagState {
    const known = this.#tags.get(tag);
    if (known !== undefined) return known;
    const state = new TagState(this, tag);
    this.#tags.set(tag, state);
    if (this.#tags.size > this.#limits.tagsMax + this.#topics) this.#forgetSome(state);
    if (this.forgottenLogs.size > 0) this.#restore(state);
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
      this.#begun.set(topic, ++this.generation);
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
    this.#begun.delete(topic);
    this.generation++;
    for (const state of this.#near(topic.pattern)) {
      if (matches(topic.pattern, state.tag) && state.topics.length === 0) state.forgetLog();
    }
    if (this.wildcards.size > 0) return;
    this.forgottenLogs.clear();
    this.forgot = false;
  }

  /** All topics with the state of their tag, null for wildcards. In no order. */
  *topics(): Iterable<readonly [Topic, TagState | null]> {
    for (const state of this.#tags.values()) if (state.exact !== null) yield [state.exact, state];
    for (const topic of this.wildcards.values()) yield [topic, null];
  }

  /** Tags with a log state here: all, or at least those that a pattern matches. */
  *logged(pattern = "#"): Iterable<TagState> {
    for (const state of this.#near(pattern)) if (state.log !== null) yield state;
  }

  *#near(pattern: string): Iterable<TagState> {
    const first = firstLevel(pattern);
    if (first !== "#" && first !== "+") return yield* this.#logged.get(first) ?? [];
    for (const states of this.#logged.values()) yield* states;
  }

  /** A state got its log, or lost it. */
  noteLogged(state: TagState): void {
    const first = firstLevel(state.tag);
    const states = this.#logged.get(first);
    if (state.forgotten || (state.log === null && state.own === null)) {
      if (states?.delete(state) && states.size === 0) this.#logged.delete(first);
    } else if (states === undefined) this.#logged.set(first, new Set([state]));
    else states.add(state);
  }

  /** Wildcards that match a tag, without a state being made of it. */
  wildcardsOf(tag: string): Topic[] {
    const found: Topic[] = [];
    this.wildcards.match(tag, found);
    return found;
  }

  /** Whether a log that is seen for the first time is known to have been empty when the interest of some of its topics began. */
  wasEmpty(topics: readonly Topic[]): boolean {
    return !this.forgot && topics.some((topic) => topic.listedAll);
  }

  /** How far a log was served whose tag has no state, or null where that is not known or nobody listened all the while. */
  known(tag: string): LogTop | null {
    const known = this.forgottenLogs.get(tag);
    return known !== null && this.#holds(known, this.wildcardsOf(tag)) ? known : null;
  }

  /** Messages after `top` are to be served, also before the tag has a state. */
  remember(tag: string, { epoch, top }: LogTop): void {
    if (!this.forgottenLogs.add(tag, { epoch, top, since: this.generation })) this.forgot = true;
  }

  /** Whether a pattern may match tags with a log. */
  mayKeepLog(pattern: string): boolean {
    return this.#mayMatch(pattern, (rule) => rule.history !== null);
  }

  /** Whether a pattern may match tags whose messages come from other instances, and are not kept. */
  mayRelay(pattern: string): boolean {
    return this.#mayMatch(pattern, (rule) => rule.history === null && !rule.local);
  }

  #mayMatch(pattern: string, wanted: (rule: TagRule) => boolean): boolean {
    for (const rule of this.rules) {
      if (covers(rule.pattern, pattern)) return wanted(rule);
      if (wanted(rule) && intersects(rule.pattern, pattern)) return true;
    }
    return wanted(liveOnly);
  }

  #restore(state: TagState): void {
    const known = this.forgottenLogs.take(state.tag);
    if (known === null || !this.#holds(known, state.topics)) return;
    state.log = new LocalLog("live", known.epoch, known.top);
  }

  #holds(known: KnownTop, topics: readonly Topic[]): boolean {
    return topics.some((topic) => (this.#begun.get(topic) ?? Infinity) <= known.since);
  }

  #forgetSome(except: TagState): void {
    for (let looked = 0; looked < evictionScan; looked++) {
      const state = this.#oldest.take();
      if (state === undefined || state === except) return;
      const { tag } = state;
      this.#tags.delete(tag);
      if (state.isIdle) {
        if (state.log !== null && state.topics.length > 0) this.remember(tag, state.log);
        this.matches.drop(state);
        state.forget();
        return;
      }
      this.#tags.set(tag, state);
    }
  }
}
