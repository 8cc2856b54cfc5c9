/** `Last-Event-ID`: what a client missed comes once and in order, or a gap is told. */
import { describe, expect, test } from "bun:test";
import { disconnects, errors, gaps } from "../../../src/core/codes.ts";
import { eventIdLimits } from "../../../src/gateway/event-ids.ts";
import { op } from "../../../src/wire/messages.ts";
import { EventClient, requestEvents } from "../../harness/event-client.ts";
import { createRandom } from "../../harness/random.ts";
import { startServer, type TestServer } from "../../harness/server.ts";
import type { WireClient } from "../../harness/wire-client.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 1000 }
[[tags]]
pattern = "short/#"
history = { size = 3 }
[[tags]]
pattern = "state/#"
retain = true
history = { size = 10 }
`;

const open = (server: TestServer, query: string, lastEventId?: string) =>
  EventClient.open(`${server.http}/events?${query}`, lastEventId === undefined ? {} : { lastEventId });

async function publish(publisher: WireClient, tag: string, ...payloads: unknown[]): Promise<void> {
  for (const payload of payloads) await publisher.ok(op.publish, tag, payload);
}

const payloads = (messages: readonly Readonly<Record<string, unknown>>[]) => messages.map((data) => data["payload"]);

/** Reads until `count` messages have come, leaves, and hands on the id. */
async function listen(server: TestServer, query: string, count: number, lastEventId?: string) {
  await using stream = await open(server, query, lastEventId);
  const messages = await stream.messages(count);
  return { messages, id: stream.lastEventId, first: stream.events[0] };
}

describe("a tag", () => {
  test("is continued where the client was, by header or query", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await using stream = await open(server, "tags=log/a,log/b,live");
    await publish(publisher, "log/a", 1, 2);
    await publish(publisher, "live", "gone");
    await stream.messages(3);
    stream.close();
    await publish(publisher, "log/a", 3);
    await publish(publisher, "log/b", 1);
    await publish(publisher, "live", "missed");
    const again = await listen(server, "tags=log/a,log/b,live", 2, stream.lastEventId);
    expect(again.messages.map(({ tag, payload }) => [tag, payload])).toEqual([
      ["log/a", 3],
      ["log/b", 1],
    ]);
    expect(again.first?.data["subscriptions"]).toMatchObject({
      "log/a": { recovered: true },
      "log/b": { recovered: true },
    });
    await publish(publisher, "log/b", 2);
    const third = await listen(server, `tags=live,log/b,log/a&lastEventId=${again.id}`, 1);
    expect(third.messages).toEqual([{ tag: "log/b", offset: 2, payload: 2 }]);
  });

  test("is continued though nothing came before the client left", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await publish(publisher, "log/a", "before");
    await using stream = await open(server, "tags=log/a");
    await stream.next("subscribed");
    stream.close();
    await publish(publisher, "log/a", 1, 2);
    expect(payloads((await listen(server, "tags=log/a", 2, stream.lastEventId)).messages)).toEqual([1, 2]);
  });

  test("is continued in the middle of what `last` asked for", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await publish(publisher, "log/a", ...Array.from({ length: 20 }, (_, i) => i));
    await using stream = await open(server, "tags=log/a&last=10");
    await stream.messages(10);
    const [started, , third] = stream.events;
    for (const [id, from] of [
      [started?.lastEventId, 10],
      [third?.lastEventId, 12],
    ] as const) {
      const again = await listen(server, "tags=log/a&last=10", 20 - from, id ?? "");
      expect(payloads(again.messages)).toEqual(Array.from({ length: 20 - from }, (_, i) => from + i));
    }
  });

  test("that is retained is not told a second time", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await publish(publisher, "state/a", "on");
    const first = await listen(server, "tags=state/%23", 1);
    expect(payloads(first.messages)).toEqual(["on"]);
    await using again = await open(server, "tags=state/%23", first.id);
    await publish(publisher, "state/a", "off");
    expect(payloads(await again.messages(1))).toEqual(["off"]);
  });

  test("tells the gap that its log no longer covers, and does not tell it again", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await using stream = await open(server, "tags=short/a,short/%23");
    await publish(publisher, "short/a", 1);
    await stream.messages(2);
    stream.close();
    await publish(publisher, "short/a", 2, 3, 4, 5, 6);
    await using again = await open(server, "tags=short/a,short/%23", stream.lastEventId);
    expect(payloads(await again.messages(6))).toEqual([4, 5, 6, 4, 5, 6]);
    const gap = { tag: "short/a", from: 2, to: 3, code: gaps.trimmed.code };
    expect(again.of("gap")).toEqual([gap, { ...gap, pattern: "short/#" }]);
    const [afterGap] = again.events.filter(({ type }) => type === "gap").toReversed();
    await using third = await open(server, "tags=short/a,short/%23", afterGap?.lastEventId);
    await third.messages(3);
    expect(third.of("gap")).toEqual([]);
  });

  test("tells that its log was lost with the server that kept it", async () => {
    let id = "";
    {
      await using server = await startServer({ toml });
      await using publisher = await server.connect();
      await using stream = await open(server, "tags=log/a,log/%2B");
      await publish(publisher, "log/a", 1, 2, 3);
      await stream.messages(6);
      id = stream.lastEventId;
    }
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    // As many as the other log had, so that its positions could be taken for this one's.
    const anew = [1, 2, 3];
    await publish(publisher, "log/a", ...anew);
    await using stream = await open(server, "tags=log/a,log/%2B", id);
    expect(payloads(await stream.messages(6))).toEqual([...anew, ...anew]);
    const lost = { tag: "log/a", from: null, to: 0, code: gaps.epochChanged.code };
    expect(stream.of("gap")).toEqual([lost, { ...lost, pattern: "log/+" }]);
    // Whoever breaks off before it was told is told again, and nobody else.
    await using again = await open(server, "tags=log/a,log/%2B", stream.events[0]?.lastEventId);
    expect(payloads(await again.messages(6))).toEqual([...anew, ...anew]);
    expect(again.of("gap")).toEqual(stream.of("gap"));
    await using told = await open(server, "tags=log/a,log/%2B", stream.lastEventId);
    await publish(publisher, "log/a", "newer");
    expect(payloads(await told.messages(2))).toEqual(["newer", "newer"]);
    expect(told.of("gap")).toEqual([]);
  });
});

describe("a pattern", () => {
  test("is continued in each log, also in those that began meanwhile", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await publish(publisher, "log/old", 1);
    await using stream = await open(server, "tags=log/%23");
    await publish(publisher, "log/a", 1);
    await stream.messages(1);
    stream.close();
    await publish(publisher, "log/a", 2);
    await publish(publisher, "log/new", 1, 2);
    await publish(publisher, "log/old", 2);
    const { messages, id } = await listen(server, "tags=log/%23", 4, stream.lastEventId);
    const found = messages.map(({ tag, offset }) => `${String(tag)} ${String(offset)}`);
    expect(found.sort()).toEqual(["log/a 2", "log/new 1", "log/new 2", "log/old 2"]);
    await publish(publisher, "log/new", 3);
    expect(payloads((await listen(server, "tags=log/%23", 1, id)).messages)).toEqual([3]);
  });

  test("that had no log at all when the client left brings everything", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await using stream = await open(server, "tags=log/%23");
    await stream.next("subscribed");
    stream.close();
    await publish(publisher, "log/a", 1, 2);
    expect(payloads((await listen(server, "tags=log/%23", 2, stream.lastEventId)).messages)).toEqual([1, 2]);
  });

  test("loses and doubles nothing, however often and wherever its client breaks off", async () => {
    const random = createRandom(20_261_121);
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    const tags = ["log/a", "log/b", "log/c/d", "log/e"];
    const total = 500;
    let sent = 0;
    let id: string | undefined;
    /** Payloads by subscription: every message comes by log/#, and those of two tags by another one too. */
    const received = new Map<string, number[]>([["log/#", []]]);
    const whole = received.get("log/#") as number[];
    const newest = new Map<string, number>();
    while (whole.length < total) {
      await using stream: EventClient = await open(server, "tags=log/a,log/%23,log/%2B/d", id);
      const more = Math.min(random.between(0, 40), total - sent);
      const last = sent + more;
      while (sent < last) publisher.send([op.publish, 0, random.pick(tags), ++sent]);
      const wanted = random.between(0, last - whole.length);
      const ofWhole = () => stream.events.filter(({ data }) => data["pattern"] === "log/#");
      await stream.until(() => stream.events.length > 0 && ofWhole().length >= wanted, `${wanted} messages of log/#`);
      // What came behind the last one wanted was on its way when the client broke off.
      const cut = wanted === 0 ? stream.events[0] : ofWhole()[wanted - 1];
      for (const event of stream.events.slice(0, stream.events.indexOf(cut!) + 1)) {
        const { type, data, lastEventId } = event;
        expect(type).not.toBe("gap");
        id = lastEventId;
        if (type !== "message") continue;
        const subscription = String(data["pattern"] ?? data["tag"]);
        const ofTag = `${subscription} ${String(data["tag"])}`;
        // Numbers of one tag grow in the order of its log.
        expect(data["payload"]).toBeGreaterThan(newest.get(ofTag) ?? 0);
        newest.set(ofTag, data["payload"] as number);
        const numbers = received.get(subscription) ?? [];
        received.set(subscription, numbers);
        numbers.push(data["payload"] as number);
      }
    }
    expect(whole.toSorted((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, i) => i + 1));
    for (const numbers of received.values()) expect(new Set(numbers).size).toBe(numbers.length);
    expect([...received.keys()].sort()).toEqual(["log/#", "log/+/d", "log/a"]);
  });
});

describe("a stream over more logs than an id names", () => {
  const fill = async (publisher: WireClient, count: number) => {
    for (let i = 0; i < count; i++) await publisher.ok(op.publish, `log/${i}`, i);
  };

  test("is refused", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await fill(publisher, eventIdLimits.tagsMax);
    await using fits = await open(server, "tags=log/%23");
    await fits.next("subscribed");
    await fill(publisher, eventIdLimits.tagsMax + 1);
    const refused = await requestEvents(`${server.http}/events?tags=log/%23`);
    expect([refused.status, ((await refused.json()) as { code: number }).code]).toEqual([
      400,
      errors.limitExceeded.code,
    ]);
  });

  test("ends when one more log begins", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await using stream = await open(server, "tags=log/%23");
    await fill(publisher, eventIdLimits.tagsMax + 1);
    await stream.end();
    expect(stream.of("message")).toHaveLength(eventIdLimits.tagsMax);
    expect(stream.of("disconnect")[0]?.["code"]).toBe(disconnects.tooManyTags.code);
    expect(server.running.hub.subscriptions.count).toBe(0);
  });

  test("is served where nothing is to be continued", async () => {
    await using server = await startServer({ toml });
    await using publisher = await server.connect();
    await using stream = await open(server, "tags=log/%23&recover=false");
    await fill(publisher, 100);
    await stream.messages(100);
    expect(stream.lastEventId).toBe("");
  });
});
