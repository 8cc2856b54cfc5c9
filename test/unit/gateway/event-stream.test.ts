/** Event streams over a broker whose answers come late and whose feed loses and repeats. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import type { Answer } from "../../../src/broker/broker.ts";
import { openMemoryBroker } from "../../../src/broker/memory.ts";
import { disconnects, errors } from "../../../src/core/codes.ts";
import { ProtocolError } from "../../../src/core/errors.ts";
import type { Identity } from "../../../src/core/identity.ts";
import { liveOnly, type TagRule } from "../../../src/core/tag-rule.ts";
import { Place } from "../../../src/gateway/admission.ts";
import { answerEvents } from "../../../src/gateway/events.ts";
import { type EventsRequest, EventStream } from "../../../src/gateway/event-stream.ts";
import { readEventId } from "../../../src/gateway/event-ids.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { Registry } from "../../../src/session/registry.ts";
import { FakeClock, rethrow } from "../../harness/clock.ts";
import { doorwayOf } from "../../harness/doorway.ts";
import { LaggingBroker } from "../../harness/lagging-broker.ts";
import { createRandom, type Random } from "../../harness/random.ts";
import { KeptLog } from "../../harness/server.ts";
import { identityOf, noRates, TestAuthenticator } from "../../harness/sessions.ts";

const rules: readonly TagRule[] = [{ ...liveOnly, pattern: "log/#", history: { size: 10_000 }, delivery: "reliable" }];

/** Does not take interest in what begins with `log/bad`. */
class World extends LaggingBroker {
  readonly clock: FakeClock;
  readonly hub: Hub;
  readonly registry: Registry;
  readonly log = new KeptLog();
  readonly authenticator = new TestAuthenticator();
  hurried = 0;

  constructor() {
    const clock = new FakeClock();
    const bounds = { logsMaxBytes: 1 << 26, logsMax: 1000, idempotencyWindowMs: 1000 };
    super(openMemoryBroker({ ...bounds, clock }), { lateAnswers: true });
    this.clock = clock;
    const applications = new Map([["main", rules]]);
    this.hub = new Hub({
      broker: this,
      clock,
      applications,
      subscriptionsMax: 100,
      slowDeadlineMs: 1000,
      onTrouble: rethrow,
    });
    const options = {
      payloadMaxBytes: 1024,
      depthMax: 8,
      authenticationDeadlineMs: 1000,
      pingSeconds: 10,
      server: "test",
      rates: noRates,
    };
    this.registry = new Registry({ hub: this.hub, authenticator: this.authenticator, clock, log: this.log, options });
    void this.hub.start();
  }

  override subscribe(app: string, pattern: string): Answer<void> {
    return pattern.startsWith("log/bad") ? Promise.reject(new Error("away")) : super.subscribe(app, pattern);
  }

  publish(tag: string, payload: unknown): void {
    const frame = encode(payload);
    const what = { frame, payloadStart: 0, payloadEnd: frame.length, meta: null, id: null, except: null };
    const publisher = { identity: identityOf(), native: null, appended: () => {}, refused: () => {} };
    this.hub.publish(this.hub.tag("main", tag), what, publisher, 0);
  }

  /** Lets everything happen that can. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      this.clock.runAllTurns();
      for (let i = 0; i < 5; i++) await Promise.resolve();
      quiet = this.release() + this.clock.queued > 0 ? 0 : quiet + 1;
    }
  }

  /** Lets chance decide what happens, a few times. */
  async stir(random: Random): Promise<void> {
    for (let i = random.int(8); i > 0; i--) {
      if (random.chance(0.5)) this.clock.runTurn();
      this.step(random, { idle: 0.2, drop: 0.1, repeat: 0.1 });
      await Promise.resolve();
    }
  }

  open(request: Partial<EventsRequest> & { patterns: readonly string[] }, identity: Identity = identityOf()): Client {
    void this.hub.connections.acquire(identity);
    const wanted = { last: null, continuation: null, continuable: new Set(request.patterns), ...request };
    return new Client(
      new EventStream(this.registry, identity, wanted, {
        remoteAddress: "",
        origin: null,
        hurry: () => this.hurried++,
        gone: () => {},
      }),
    );
  }

  get left(): object {
    return { connections: this.registry.size, subscriptions: this.hub.subscriptions.count, sinks: this.hub.sinks.size };
  }
}

const nothing = { connections: 0, subscriptions: 0, sinks: 0 };

class Client {
  readonly stream: EventStream;
  error: ProtocolError | null = null;
  text = "";
  ended = false;

  constructor(stream: EventStream) {
    this.stream = stream;
    void this.#read();
  }

  /** `[type, data, id]` of each event. */
  get events(): readonly (readonly [type: string, data: Record<string, unknown>, id: string | undefined])[] {
    return [...this.text.matchAll(/event: (\w+)\n(?:id: (.*)\n)?data: (.*)\n\n/g)].map(
      ([, type = "", id, data = ""]) => [type, JSON.parse(data) as Record<string, unknown>, id] as const,
    );
  }

  async #read(): Promise<void> {
    try {
      const body = await this.stream.open();
      for await (const chunk of body) this.text += Buffer.from(chunk).toString();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.error = error;
    }
    this.ended = true;
  }
}

describe("a stream that the broker answers late", () => {
  test("begins with where it starts, and then has what came while it was opening", async () => {
    const world = new World();
    world.publish("log/a", 1);
    await world.settle();
    const client = world.open({ patterns: ["log/a", "log/+"] });
    let answered = false;
    // One subscription is confirmed and fed while the other still waits for its answer.
    for (let i = 2; i < 12 && !answered; i++) {
      world.publish("log/a", i);
      world.clock.runAllTurns();
      world.release(1);
      for (let j = 0; j < 5; j++) await Promise.resolve();
      answered = client.text !== "";
    }
    await world.settle();
    const [first, ...rest] = client.events;
    expect(first?.[0]).toBe("subscribed");
    const starts = readEventId(first?.[2] ?? "", ["log/a", "log/+"]);
    const of = (pattern: string | undefined) =>
      rest.filter(([, data]) => data["pattern"] === pattern).map(([, data]) => data["offset"] as number);
    for (const [pattern, from] of [
      [undefined, (starts.get("log/a") as { offset: number }).offset],
      ["log/+", (starts.get("log/+") as ReadonlyMap<string, { offset: number }>).get("log/a")?.offset ?? 0],
    ] as const) {
      const offsets = of(pattern);
      expect(offsets.length).toBeGreaterThan(0);
      expect(offsets).toEqual(Array.from({ length: offsets.length }, (_, i) => from + 1 + i));
    }
    expect(new Set([of(undefined).at(-1), of("log/+").at(-1)]).size).toBe(1);
  });

  test("loses and doubles nothing over a feed that does, however often its client breaks off", async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = createRandom(seed);
      const world = new World();
      const patterns = ["log/a", "log/#"];
      const tags = ["log/a", "log/b", "log/c"];
      const got = new Map<string, number[]>();
      let sent = 0;
      let id: string | undefined;
      const publish = (tag: string) => world.publish(tag, ++sent);
      for (let round = 0; round < 8; round++) {
        const continuation = id === undefined ? null : readEventId(id, patterns);
        const client = world.open({ patterns, continuation });
        for (let i = random.int(12); i > 0; i--) {
          publish(random.pick(tags));
          await world.stir(random);
        }
        if (round === 7) for (const tag of tags) publish(tag);
        // The first stream is told that it began; others may break off before.
        if (round === 0 || round === 7 || random.chance(0.5)) await world.settle();
        const seen = client.events;
        for (const [type, data, newId] of round === 7
          ? seen
          : seen.slice(0, round === 0 ? undefined : random.int(seen.length + 1))) {
          id = newId ?? id;
          expect({ seed, type }).not.toMatchObject({ type: "gap" });
          if (type !== "message") continue;
          const key = `${String(data["pattern"])} ${String(data["tag"])}`;
          got.set(key, [...(got.get(key) ?? []), data["offset"] as number]);
        }
        client.stream.closed();
        await world.stir(random);
      }
      for (const [key, offsets] of got) {
        const from = offsets[0] ?? 0;
        expect({ seed, key, offsets }).toEqual({ seed, key, offsets: offsets.map((_, i) => from + i) });
      }
      expect(got.size).toBe(4);
      await world.settle();
      expect(world.left).toEqual(nothing);
    }
  });

  test("is refused, and leaves nothing behind, where the broker is away for one pattern", async () => {
    const world = new World();
    const client = world.open({ patterns: ["log/a", "log/bad/#", "b"] });
    await world.settle();
    expect([client.error?.code, client.error?.message]).toEqual([
      errors.unavailable,
      `${errors.unavailable.text}: log/bad/#`,
    ]);
    expect(world.left).toEqual(nothing);
  });

  test("leaves nothing behind where its client goes before", async () => {
    const identity = identityOf({ connectionsMax: 1 });
    const world = new World();
    const client = world.open({ patterns: ["log/a", "log/#"] }, identity);
    client.stream.closed();
    await world.settle();
    expect([client.error?.code, world.left]).toEqual([errors.unavailable, nothing]);
    expect(world.hub.connections.acquire(identity)).toBe(true);
  });

  test("is refused where its token is edited, revoked, or the server stops before", async () => {
    const outcomes: unknown[] = [];
    for (const act of [
      (world: World) => world.authenticator.change({ kind: "edited", identity: identityOf({ grants: {} }) }),
      (world: World) => world.authenticator.change({ kind: "revoked", app: "main", tokenId: "t1" }),
      (world: World) => void world.registry.drain(0, AbortSignal.abort()),
    ]) {
      const world = new World();
      const client = world.open({ patterns: ["log/a", "log/#"] });
      world.clock.runAllTurns();
      act(world);
      await world.settle();
      outcomes.push([client.error?.code.name, client.ended, world.left]);
    }
    expect(outcomes).toEqual([
      ["denied", true, nothing],
      ["unavailable", true, nothing],
      ["unavailable", true, nothing],
    ]);
  });
});

test("a stream that is ended hurries its reader, says why, and is closed once that is read", async () => {
  const world = new World();
  const { timers } = world.clock;
  const client = world.open({ patterns: ["a"] });
  await world.settle();
  expect([client.stream.active, world.hurried]).toEqual([true, 0]);
  client.stream.end(disconnects.removed, 250);
  client.stream.end(disconnects.slow);
  await world.settle();
  expect(client.ended).toBe(true);
  expect(
    client.text.endsWith(
      `retry: 250\nevent: disconnect\ndata: {"code":3504,"text":"${disconnects.removed.text}","retryAfterMs":250}\n\n`,
    ),
  ).toBe(true);
  expect([world.hurried, world.left, world.clock.timers]).toEqual([1, nothing, timers]);
});

test("a stream that was not read goes on as soon as it is", async () => {
  const world = new World();
  const wanted = { patterns: ["log/a"], last: null, continuation: null, continuable: new Set<string>() };
  void world.hub.connections.acquire(identityOf());
  const stream = new EventStream(world.registry, identityOf(), wanted, {
    remoteAddress: "",
    origin: null,
    hurry: () => {},
    gone: () => {},
  });
  const opened = stream.open();
  await world.settle();
  const body = (await opened).getReader();
  const count = 60;
  for (let i = 0; i < count; i++) {
    world.publish("log/a", "x".repeat(64 * 1024));
    await world.settle();
  }
  expect(stream.bufferedBytes()).toBeGreaterThan(1024 ** 2);
  expect(stream.bufferedBytes()).toBeLessThan(1.2 * 1024 ** 2);
  let text = "";
  // No time passes: nothing but the reading itself makes it go on.
  while (text.split("event: message").length <= count) {
    const { value = new Uint8Array() } = await body.read();
    text += Buffer.from(value).toString();
    await world.settle();
  }
  expect(stream.bufferedBytes()).toBe(0);
  stream.closed();
});

describe("the request of a stream", () => {
  /** A request as the runtime hands it over, and the timeouts that it was given. */
  function request(world: World, signal?: AbortSignal) {
    const timeouts: number[] = [];
    const places = { taken: 0 };
    const admission = {
      admit: () => {
        places.taken++;
        return new Place(() => void places.taken--);
      },
      allow: () => null,
    };
    const server = { timeout: (_: Request, seconds: number) => void timeouts.push(seconds) };
    world.authenticator.known.set("secret", identityOf());
    const { registry, log } = world;
    const parts = { registry, doorway: doorwayOf(world), log, admission };
    const headers = { authorization: "Bearer secret" };
    const asked = new Request("http://host/events?tags=log/a", { headers, ...(signal && { signal }) });
    return { timeouts, places, answer: answerEvents(parts, asked, server, { address: "192.0.2.1", secure: null }) };
  }

  test("has no timeout while the stream is open, and one from when it ends", async () => {
    const world = new World();
    const { timeouts, places, answer } = request(world);
    await world.settle();
    const { status, headers } = await answer;
    // The timeout stays with the connection: nothing else is to come over it.
    expect([status, headers.get("connection"), timeouts, places.taken]).toEqual([200, "close", [0], 1]);
    for (const connection of [...world.registry]) connection.end(disconnects.removed);
    expect(timeouts).toEqual([0, 5]);
    for (const connection of [...world.registry]) (connection as EventStream).closed();
    expect(places.taken).toBe(0);
  });

  test("that is broken off before it is answered leaves nothing behind", async () => {
    for (const turns of [0, 1, 10]) {
      const world = new World();
      const abort = new AbortController();
      const { timeouts, places, answer } = request(world, abort.signal);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      expect(world.registry.size).toBe(turns < 10 ? 0 : 1);
      abort.abort();
      await world.settle();
      expect([(await answer).status, timeouts, world.left, places.taken]).toEqual([503, [], nothing, 0]);
    }
  });
});
