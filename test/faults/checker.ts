/**
 * A run: instances on a Redis, publishers and subscribers everywhere, and a plan of faults under that load. After each step it
 * waits until service is whole again, says how long that took, and verifies what was acknowledged until then.
 */
import type { Random } from "../harness/random.ts";
import { Instances } from "./instances.ts";
import { describeStep, type Injection, type Step } from "./plan.ts";
import { Publisher } from "./publisher.ts";
import { crowd } from "./crowd.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { Topology } from "./topology.ts";
import type { Acked } from "./truth.ts";
import { World } from "./world.ts";

/** Longest time until service is whole again. */
const wholeMaxMs = 40_000;
/** After this time it is said what is missing. */
const slowMs = 5000;
const pollMs = 20;
/** Live-only messages may be on their way so long; on a machine that is too busy, so long. */
const liveSlackMs = 1500;
const liveMaxMs = 15_000;
const livePollMs = 100;
/** Memory that an instance may take more than before the first fault. */
const growthMaxBytes = 256 * 1024 * 1024;
const publishersCount = 2;

export interface RunOptions {
  readonly topology: Topology;
  readonly random: Random;
  readonly tags: number;
  readonly subscribersEach: number;
  readonly instances: number;
  /** Messages a second to tags with a log, and without. */
  readonly rate: number;
  readonly liveRate: number;
  readonly plan: (topology: Topology, instances: number) => readonly Step[];
  /** Nothing is begun after this time. */
  readonly untilMs: number;
  readonly say: (line: string) => void;
}

export interface Recovered {
  readonly fault: string;
  /** From the end of it, and of all that was injected with it, until service was whole. */
  readonly wholeMs: number;
}

export interface Outcome {
  readonly world: World;
  readonly recovered: readonly Recovered[];
  /** Acknowledged messages a second, while nothing was wrong. */
  readonly steadyRate: number;
  readonly issued: number;
  readonly rssBytesBefore: number;
  readonly rssBytesMost: number;
}

export async function run(options: RunOptions): Promise<Outcome> {
  const { topology, random, say } = options;
  await using instances = await Instances.start(options.instances, (i) => topology.url(i));
  const world = new World(instances, random, options.tags, (text) => say(`VIOLATION ${text}`));
  const checker = new Checker(world, options);
  try {
    return await checker.run();
  } catch (error) {
    say(instances.logs());
    throw error;
  } finally {
    checker.stop();
  }
}

class Checker {
  readonly #world: World;
  readonly #options: RunOptions;
  readonly #publishers: readonly Publisher[];
  readonly #subscribers: readonly Subscriber[];
  readonly #recovered: Recovered[] = [];
  readonly #tickers: ReturnType<typeof setInterval>[] = [];
  #issued = 0;
  /** Faults under way. */
  #injecting = 0;
  #leaders = "";
  #rssBytesBefore = 0;
  readonly #steady = { messages: 0, ms: 0 };

  constructor(world: World, options: RunOptions) {
    this.#world = world;
    this.#options = options;
    const rate = { log: options.rate / publishersCount, live: options.liveRate / publishersCount };
    this.#publishers = Array.from({ length: publishersCount }, () => new Publisher(world, rate, () => ++this.#issued));
    this.#subscribers = crowd(world, options.subscribersEach);
  }

  async run(): Promise<Outcome> {
    const { topology, plan, say, untilMs } = this.#options;
    const { instances } = this.#world;
    const steps = plan(topology, instances.count);
    for (const publisher of this.#publishers) publisher.start();
    await this.#until(
      () => [...this.#world.truths.values()].every(({ latest }) => latest !== null),
      "the first messages",
    );
    for (const subscriber of this.#subscribers) subscriber.connect();
    this.#tickers.push(
      setInterval(() => this.#subscribers.forEach((subscriber) => subscriber.tick()), 1000),
      setInterval(() => void instances.measure(), 500),
      setInterval(() => void this.#watchLeaders(), 250),
    );
    await this.#whole(performance.now());
    await this.#calm(1500);
    this.#rssBytesBefore = await instances.measure();
    let injected = 0;
    for (const [i, step] of steps.entries()) {
      if (performance.now() > untilMs) {
        say(`Time is up after ${injected} faults`);
        break;
      }
      const whole = await this.#step(step);
      injected += step.length;
      say(`${i + 1}/${steps.length} ${describeStep(step)}: whole after ${(whole / 1000).toFixed(2)} s`);
      for (const subscriber of this.#subscribers) subscriber.goHome();
      await this.#calm(300);
      if (this.#world.verdict.count > 0) break;
    }
    await this.#end();
    const rssBytesMost = instances.maxRssBytes;
    if (rssBytesMost > this.#rssBytesBefore + growthMaxBytes) {
      this.#world.verdict.violation(`an instance took ${rssBytesMost} bytes of memory, before ${this.#rssBytesBefore}`);
    }
    return {
      world: this.#world,
      recovered: this.#recovered,
      steadyRate: (this.#steady.messages * 1000) / this.#steady.ms,
      issued: this.#issued,
      rssBytesBefore: this.#rssBytesBefore,
      rssBytesMost,
    };
  }

  stop(): void {
    for (const ticker of this.#tickers) clearInterval(ticker);
    for (const one of [...this.#publishers, ...this.#subscribers]) one.stop();
  }

  /** Milliseconds from the end of the last fault until service was whole. */
  async #step(step: Step): Promise<number> {
    const away = this.#away(step);
    const lastMs = Math.max(...(await Promise.all(step.map((injection) => this.#inject(injection)))));
    const wholeMs = await this.#whole(lastMs, away);
    for (const { fault } of step) this.#recovered.push({ fault: fault.name, wholeMs: wholeMs - lastMs });
    return wholeMs - lastMs;
  }

  /** Begins for instances that cannot say what they did not pass on; ends it. */
  #away(step: Step): () => void {
    const { faults, instances } = this.#world;
    const all = Array.from({ length: instances.count }, (_, i) => i);
    const silent = step.filter(({ fault }) => fault.isSilent);
    const hit = silent.flatMap(({ fault, target }) => (fault.scope === "redis" ? all : [target]));
    const spans = hit.map((instance) => faults.away(instance));
    return () => spans.forEach(({ end }) => end());
  }

  /** When it was over. */
  async #inject({ fault, target, holdMs }: Injection): Promise<number> {
    const { topology, random } = this.#options;
    const { instances, faults } = this.#world;
    this.#injecting++;
    const heal = await fault.inject({ topology, instances, times: faults, target, random });
    await Bun.sleep(holdMs);
    await heal();
    const healedMs = performance.now();
    await this.#lookForLeaders();
    this.#injecting--;
    return healedMs;
  }

  /** Sentinels, or the nodes of a Cluster, may find a master dead that is only slow: then too something may be lost. */
  async #watchLeaders(): Promise<void> {
    if (this.#injecting > 0 || !(await this.#lookForLeaders()) || this.#injecting > 0) return;
    this.#world.faults.lostUntilNow();
    this.#world.counts.unplanned++;
    this.#options.say("A master was replaced although nothing was done to it");
  }

  /** Whether they have changed. */
  async #lookForLeaders(): Promise<boolean> {
    const leaders = await this.#options.topology.leaders().catch(() => this.#leaders);
    const before = this.#leaders;
    this.#leaders = leaders;
    return before !== "" && before !== leaders;
  }

  /** Nothing is wrong for a while: what is acknowledged meanwhile is the rate. */
  async #calm(ms: number): Promise<void> {
    const begunMs = performance.now();
    const before = this.#world.counts.acknowledged;
    await Bun.sleep(ms);
    this.#steady.messages += this.#world.counts.acknowledged - before;
    this.#steady.ms += performance.now() - begunMs;
  }

  /**
   * Whole: what was published before is acknowledged, something newer is on each tag and through each instance, and every
   * subscription is there and has all of it. Resolves with when that was.
   */
  async #whole(sinceMs: number, then: () => void = () => {}): Promise<number> {
    await this.#until(
      () => this.#isPublished(sinceMs),
      () => this.#unpublished(sinceMs),
    );
    let snapshotMs = performance.now();
    let targets = this.#targets();
    await this.#until(
      () => {
        if (this.#subscribers.every((subscriber) => isUpTo(subscriber, targets))) return true;
        if (performance.now() - snapshotMs > 1000) {
          snapshotMs = performance.now();
          targets = this.#targets();
        }
        return false;
      },
      () => this.#behind(targets),
    );
    const wholeMs = performance.now();
    then();
    this.#verify(snapshotMs, await this.#liveArrived());
    return wholeMs;
  }

  #targets(): ReadonlyMap<string, Acked> {
    return new Map([...this.#world.truths].map(([tag, { latest }]) => [tag, latest!]));
  }

  #isPublished(sinceMs: number): boolean {
    const isAnswered = this.#publishers.every((publisher) => publisher.oldestMs() >= sinceMs);
    if (!isAnswered) return false;
    for (const { latestIssuedMs } of this.#world.truths.values()) if (latestIssuedMs < sinceMs) return false;
    return this.#through().every((ms) => ms >= sinceMs);
  }

  #through(): number[] {
    return Array.from({ length: this.#world.instances.count }, (_, i) =>
      Math.max(...this.#publishers.map(({ through }) => through[i]!)),
    );
  }

  #unpublished(sinceMs: number): string {
    const old = this.#publishers.filter((publisher) => publisher.oldestMs() < sinceMs).length;
    const tags = [...this.#world.truths.values()].filter(({ latestIssuedMs }) => latestIssuedMs < sinceMs);
    const instances = this.#through().flatMap((ms, i) => (ms < sinceMs ? [i] : []));
    const outstanding = this.#publishers.map((publisher) => publisher.outstanding);
    return `everything is acknowledged: ${old} publishers wait (${outstanding}), no news of ${tags.length} tags, nor through instances ${instances}`;
  }

  #behind(targets: ReadonlyMap<string, Acked>): string {
    const views = this.#subscribers.flatMap(({ subscriptions }) =>
      [...subscriptions.values()].flatMap((one) => [...one.views.values()].map((view) => ({ view, one }))),
    );
    const behind = views.filter(({ view, one }) => !one.confirmed || !view.has(targets.get(view.truth.tag)!));
    const first = behind.slice(0, 5).map(({ view, one }) => {
      const target = targets.get(view.truth.tag)!;
      return `${view}${one.confirmed ? "" : " (not confirmed)"}, acknowledged ${target.epoch}:${target.offset}`;
    });
    return `every subscription has what was acknowledged; ${behind.length} of ${views.length} have not: ${first.join("; ")}`;
  }

  /** When the live-only messages to be verified were issued at the latest. What is lost never comes; what is late does. */
  async #liveArrived(): Promise<number> {
    const { faults, live } = this.#world;
    const cutMs = performance.now() - liveSlackMs;
    const deadline = performance.now() + liveMaxMs;
    const sent = live.until(cutMs);
    const isMissing = (subscription: Subscription) =>
      subscription.live.lacks(
        sent.filter(({ tag }) => subscription.covers(tag)),
        faults,
      );
    const all = this.#subscribers.flatMap(({ subscriptions }) => [...subscriptions.values()]);
    while (all.some(isMissing) && performance.now() < deadline) await Bun.sleep(livePollMs);
    return cutMs;
  }

  #verify(snapshotMs: number, cutMs: number): void {
    const { truths, faults, counts } = this.#world;
    const mayLose = ({ issuedMs }: Acked) => faults.lossySince(issuedMs);
    const due = new Map([...truths].map(([tag, truth]) => [tag, truth.due(snapshotMs)]));
    const live = this.#world.live.takeUntil(cutMs);
    for (const { subscriptions } of this.#subscribers) {
      for (const subscription of subscriptions.values()) {
        for (const [tag, view] of subscription.views) {
          counts.toldLosses += view.verify(due.get(tag)!, mayLose);
        }
        const covered = live.filter(({ tag }) => subscription.covers(tag));
        const { expected, told, unknowable } = subscription.live.verify(covered, faults);
        counts.liveExpected += expected;
        counts.liveTold += told;
        counts.liveUnknowable += unknowable;
        subscription.live.verified(cutMs - liveMaxMs);
      }
    }
    for (const truth of truths.values()) truth.verified(snapshotMs);
  }

  /** No more is published; the last of it arrives. */
  async #end(): Promise<void> {
    const lastMs = performance.now();
    await Bun.sleep(200);
    await this.#whole(lastMs);
    for (const publisher of this.#publishers) publisher.pause();
    await this.#until(
      () => this.#publishers.every(({ outstanding }) => outstanding === 0),
      "the last acknowledgements",
    );
    const targets = this.#targets();
    await this.#until(
      () => this.#subscribers.every((subscriber) => isUpTo(subscriber, targets)),
      () => this.#behind(targets),
    );
    await Bun.sleep(liveSlackMs);
    this.#verify(Infinity, await this.#liveArrived());
  }

  async #until(holds: () => boolean, what: string | (() => string)): Promise<void> {
    const begunMs = performance.now();
    const text = () => (typeof what === "string" ? what : what());
    for (let isTold = false; !holds(); await Bun.sleep(pollMs)) {
      const ms = performance.now() - begunMs;
      if (ms > wholeMaxMs) throw new Error(`Not within ${wholeMaxMs} ms: ${text()}`);
      if (ms < slowMs || isTold) continue;
      isTold = true;
      this.#options.say(`after ${slowMs / 1000} s still not so: ${text()}`);
    }
  }
}

function isUpTo(subscriber: Subscriber, targets: ReadonlyMap<string, Acked>): boolean {
  if (!subscriber.isWhole) return false;
  for (const { views } of subscriber.subscriptions.values()) {
    for (const [tag, view] of views) if (!view.has(targets.get(tag)!)) return false;
  }
  return true;
}
