/** What each command does. The groups of a driver, and the run whose messages they count. */
import { churn } from "./churn.ts";
import type { Client } from "./client.ts";
import type {
  Answer,
  Command,
  ConnectCommand,
  Latency,
  ReadCommand,
  ReconnectCommand,
  RunCommand,
  Tally,
} from "./commands.ts";
import { CatchUpCount, Count, type CountOptions } from "./counting.ts";
import { Group } from "./group.ts";
import { LatencyHistogram } from "./latency.ts";
import { countStreams, LoadRun } from "./load-run.ts";
import { runsMax, streamsMax } from "./payload.ts";
import { Stopwatch } from "./stopwatch.ts";
import { Turn } from "./turn.ts";

/** With so many in flight the latency is taken of every eighth message of a stream, else of all. */
const saturatedFrom = 64;
const sampleEverySaturated = 8;
const quietMsDefault = 1000;
const settleMs = 5;

/** What a command has to say beside how long it took. */
interface Found {
  readonly tally?: Tally;
  readonly opening?: Latency;
}

export class Driver {
  readonly #turn = new Turn();
  readonly #groups = new Map<string, Group>();
  #runs = 0;
  /** Messages of the last run. */
  #published = 0;
  /** What the clients count that did not read during the last run. */
  #aside: Count | null = null;
  #last: CountOptions | null = null;

  async carryOut(command: Command): Promise<Answer> {
    const startedAt = performance.now();
    const stopwatch = new Stopwatch(this.#turn);
    const found = await this.#do(command);
    const { driverSeconds } = stopwatch.stop();
    let connections = 0;
    for (const group of this.#groups.values()) connections += group.connections;
    const seconds = (performance.now() - startedAt) / 1000;
    return { ok: true, ...found, seconds, driverSeconds, connections };
  }

  async #do(command: Command): Promise<Found> {
    switch (command.do) {
      case "connect":
        return { opening: await this.#connect(command) };
      case "run":
        return { tally: await this.#run(command) };
      case "leave":
        await this.#group(command.group).leave(command.abruptly);
        return {};
      case "reconnect":
        return { tally: await this.#reconnect(command) };
      case "read":
        return await this.#read(command);
      case "churn": {
        const options = { ...this.#counting(command.publish?.payloadBytes ?? 0, 1), sampleEvery: 1 };
        const count = new Count(options, this.#turn);
        this.#countAll(count, null);
        return { tally: await churn({ command, run: options.run, count, turn: this.#turn }) };
      }
    }
  }

  async #connect(command: ConnectCommand): Promise<Latency> {
    const before = this.#groups.get(command.group);
    if (before !== undefined && before.connections > 0) throw new Error(`Group '${command.group}' is connected`);
    const group = new Group(command, this.#turn);
    this.#groups.set(command.group, group);
    const latency = new LatencyHistogram();
    await group.connect((startedAt) => latency.record((performance.now() - startedAt) * 1000));
    return latency.summary();
  }

  async #run(command: RunCommand): Promise<Tally> {
    const publishers = this.#group(command.publishers).clients;
    const streams = countStreams(command, publishers.length);
    if (streams > streamsMax) throw new Error(`A run has at most ${streamsMax} streams`);
    if ((command.perFrame ?? 1) > 1 && !publishers.every(({ gathers }) => gathers)) {
      throw new Error("The publishers' protocol has one publish a frame");
    }
    const isSaturated = "inFlight" in command.pace && command.pace.inFlight >= saturatedFrom;
    const sampleEvery = isSaturated ? sampleEverySaturated : 1;
    const options = { ...this.#counting(command.payloadBytes, streams), sampleEvery };
    const count = new Count(options, this.#turn);
    this.#aside = new Count(options, this.#turn);
    this.#last = options;
    this.#countAll(count, this.#aside);
    const { run } = options;
    const stopwatch = new Stopwatch(this.#turn);
    const parts = { command, run, publishers, count, turn: this.#turn, stopwatch };
    const tally = await new LoadRun(parts).result();
    this.#published = tally.published;
    return tally;
  }

  async #reconnect({ group: name, missed, deadlineMs }: ReconnectCommand): Promise<Tally> {
    const last = this.#last;
    if (last === null) throw new Error("There was no run to catch up with");
    const group = this.#group(name);
    await group.leave(true);
    const startedAt = performance.now();
    const stopwatch = new Stopwatch(this.#turn);
    const count = new CatchUpCount(last, this.#turn, missed);
    for (const client of group.clients) client.counting = count;
    const expected = missed * group.clients.length;
    await group.connect();
    while (count.settled < expected && performance.now() < startedAt + deadlineMs) await Bun.sleep(settleMs);
    const seconds = (performance.now() - startedAt) / 1000;
    const tally = count.tally({ ...stopwatch.stop(), published: missed, expected, seconds });
    return { ...tally, latency: count.caughtUp.summary() };
  }

  async #read({ group: name, reading, quietMs = quietMsDefault }: ReadCommand): Promise<Found> {
    const group = this.#group(name);
    const wasReading = group.clients[0]?.reading ?? true;
    const startedAt = performance.now();
    const stopwatch = new Stopwatch(this.#turn);
    group.read(reading);
    const aside = this.#aside;
    if (!reading || wasReading || aside === null) return {};
    const expected = this.#published * group.clients.length;
    let settled = -1;
    let at = performance.now();
    while (aside.settled < expected && performance.now() - at < quietMs) {
      if (aside.settled !== settled) {
        settled = aside.settled;
        at = performance.now();
      }
      await Bun.sleep(settleMs);
    }
    const seconds = (at - startedAt) / 1000;
    return { tally: aside.tally({ ...stopwatch.stop(), published: this.#published, expected, seconds }) };
  }

  /** Numbers the clients that subscribe, and a new run. */
  #counting(payloadBytes: number, streams: number): Omit<CountOptions, "sampleEvery"> {
    let receivers = 0;
    for (const client of this.#clients()) if (client.subscriptions.length > 0) client.receiver = receivers++;
    this.#runs = (this.#runs + 1) % runsMax;
    return { run: this.#runs, receivers, streams, payloadBytes };
  }

  #countAll(count: Count, aside: Count | null): void {
    for (const client of this.#clients()) client.counting = client.reading ? count : aside;
  }

  *#clients(): Generator<Client> {
    for (const group of this.#groups.values()) yield* group.clients;
  }

  #group(name: string): Group {
    const group = this.#groups.get(name);
    if (group === undefined) throw new Error(`There is no group '${name}'`);
    return group;
  }
}
