/** The text of event streams: one event each, which nobody can forge, with an id whenever a position has moved. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import type { Position } from "../../../src/core/position.ts";
import { EventFrames, EventText } from "../../../src/gateway/event-frames.ts";
import { eventIdLimits, readEventId } from "../../../src/gateway/event-ids.ts";
import { MessageView } from "../../../src/wire/frames.ts";
import { encodePattern, encodeTagHead } from "../../../src/wire/write-msgpack.ts";

interface Given {
  readonly tag?: string;
  readonly payload?: unknown;
  readonly meta?: unknown;
  readonly epoch?: number;
  readonly offset?: number;
}

function view({ tag = "a", payload = 1, meta, epoch = 0, offset = 0 }: Given): MessageView {
  const body = encode(payload);
  const all = meta === undefined ? body : Buffer.concat([body, encode(meta)]);
  return new MessageView().set({ tag, head: encodeTagHead(tag) }, epoch, offset).body(all, 0, body.length, all.length);
}

const name = (pattern: string) => ({ pattern, encoded: encodePattern(pattern) });

/** One that has begun, with a subscription that starts at `at`. */
function stream(
  pattern: string,
  { continuable = true, at }: { continuable?: boolean; at?: Position } = {},
): { text: EventText; frames: EventFrames } {
  const text = new EventText([pattern]);
  const frames = new EventFrames(text, pattern, continuable);
  if (at !== undefined) frames.startsAt(pattern, at);
  text.begin("subscribed", "{}", 1000);
  text.take();
  return { text, frames };
}

/** The fields of each event in a text, by the letter of the standard. */
function events(text: string): Record<string, string>[] {
  const blocks = text.split("\n\n");
  expect(blocks.pop()).toBe("");
  return blocks.map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2))));
}

describe("a message", () => {
  test("waits as so many bytes until it is taken", () => {
    const { text, frames } = stream("a", { continuable: false });
    frames.message(view({ payload: "ü" }), null);
    const { waiting } = frames;
    expect(Buffer.byteLength(text.take())).toBe(waiting);
    expect(frames.waiting).toBe(0);
  });

  test("has offset, meta and pattern only where there are such", () => {
    const { text, frames } = stream("#");
    frames.message(view({ payload: { x: 1 } }), null);
    frames.message(view({ payload: "y", meta: { reply: "r" }, epoch: 5, offset: 7 }), name("#"));
    const [live, logged] = events(text.take());
    expect(live).toEqual({ event: "message", data: '{"tag":"a","payload":{"x":1}}' });
    expect(JSON.parse(logged?.["data"] ?? "")).toEqual({
      tag: "a",
      offset: 7,
      payload: "y",
      meta: { reply: "r" },
      pattern: "#",
    });
    expect(readEventId(logged?.["id"] ?? "", ["#"])).toEqual(
      new Map([["#", new Map([["a", { epoch: 5, offset: 7 }]])]]),
    );
  });

  test("takes two lines, three with an id, whatever stands in tag and payload", () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.string(),
      fc.constantFrom("\n", "\r\n\r\nevent: x", "\u2028", "\u0085", "\0"),
    );
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), value, fc.nat(3), (tag, payload, offset) => {
        const { text, frames } = stream("#");
        frames.message(view({ tag, payload, meta: { id: tag }, epoch: 1, offset }), name("#"));
        const written = text.take();
        expect(written.endsWith("\n\n")).toBe(true);
        expect(written.slice(0, -2).split(/\r\n|\n|\r/)).toHaveLength(offset > 0 ? 3 : 2);
      }),
    );
  });

  test("without a log leaves the id as it was", () => {
    const { text, frames } = stream("#");
    frames.message(view({ epoch: 1, offset: 1 }), name("#"));
    frames.message(view({ tag: "live" }), name("#"));
    frames.message(view({ epoch: 1, offset: 2 }), name("#"));
    expect(events(text.take()).map((event) => "id" in event)).toEqual([true, false, true]);
  });

  test("has no id where nothing may be continued", () => {
    const { text, frames } = stream("a", { continuable: false, at: { epoch: 1, offset: 4 } });
    frames.message(view({ epoch: 1, offset: 5 }), null);
    expect(events(text.take()).map((event) => "id" in event)).toEqual([false]);
  });
});

describe("a gap", () => {
  const idAfter = (tell: (frames: EventFrames) => void) => {
    const { text, frames } = stream("a", { at: { epoch: 1, offset: 4 } });
    tell(frames);
    const [event] = events(text.take());
    return { data: JSON.parse(event?.["data"] ?? ""), at: readEventId(event?.["id"] ?? "", ["a"]).get("a") };
  };

  test("moves the position to its end", () => {
    const { data, at } = idAfter((frames) => frames.gap("a", 5, 9, { code: 202 }));
    expect(data).toEqual({ tag: "a", from: 5, to: 9, code: 202 });
    expect(at).toEqual({ epoch: 1, offset: 9 });
  });

  test("of a new epoch moves the position into it", () => {
    const { at } = idAfter((frames) => frames.gap("a", null, 3, { code: 203, epoch: 2 }));
    expect(at).toEqual({ epoch: 2, offset: 3 });
  });

  test("of messages without a log names the pattern and their number, and moves nothing", () => {
    const { text, frames } = stream("a/#");
    frames.gap("a/#", null, null, { code: 200, count: 3 });
    expect(events(text.take())).toEqual([
      { event: "gap", data: '{"pattern":"a/#","from":null,"to":null,"code":200,"count":3}' },
    ]);
  });
});

describe("the text of a stream", () => {
  test("begins with where all subscriptions start, though messages of one were gathered before another had started", () => {
    const text = new EventText(["a", "b"]);
    const a = new EventFrames(text, "a", true);
    const b = new EventFrames(text, "b", true);
    a.startsAt("a", { epoch: 1, offset: 4 });
    a.message(view({ epoch: 1, offset: 5 }), null);
    a.gap("a", 6, 8, { code: 202 });
    expect(text.waiting).toBeGreaterThan(10);
    expect(text.take()).toBe("");
    b.startsAt("b", { epoch: 2, offset: 0 });
    text.begin("subscribed", "{}", 1000);
    const all = events(text.take());
    expect(all[0]).toMatchObject({ retry: "1000", event: "subscribed", data: "{}" });
    const positions = all.map(({ id = "" }) => Object.fromEntries(readEventId(id, ["a", "b"])));
    const at = (offset: number) => ({ a: { epoch: 1, offset }, b: { epoch: 2, offset: 0 } });
    expect(positions).toEqual([at(4), at(5), at(8)]);
  });

  test("takes nothing more once there are more logs than an id names", () => {
    const { text, frames } = stream("#");
    for (let i = 1; i <= eventIdLimits.tagsMax; i++)
      frames.message(view({ tag: `t${i}`, epoch: 1, offset: 1 }), name("#"));
    expect(text.overflowed).toBe(false);
    expect(events(text.take())).toHaveLength(eventIdLimits.tagsMax);
    frames.message(view({ tag: "more", epoch: 1, offset: 1 }), name("#"));
    frames.message(view({ tag: "t1", epoch: 1, offset: 2 }), name("#"));
    expect(text.overflowed).toBe(true);
    expect(text.take()).toBe("");
    text.farewell(3506, "Too many", 0);
    expect(events(text.take())).toEqual([
      { event: "disconnect", data: '{"code":3506,"text":"Too many","retryAfterMs":0}' },
    ]);
  });

  test("takes nothing more once an id is too long", () => {
    const { text, frames } = stream("#");
    for (let i = 0; !text.overflowed; i++) {
      frames.message(view({ tag: `${i}${"x".repeat(200)}`, epoch: 1, offset: 1 }), name("#"));
      expect(i).toBeLessThan(eventIdLimits.tagsMax);
    }
    for (const { id = "" } of events(text.take())) expect(id.length).toBeLessThanOrEqual(eventIdLimits.lengthMax);
  });

  test("tells when to come back, where somebody says so", () => {
    const { text, frames } = stream("a");
    frames.unsubscribed("a", 2000, "No more");
    text.farewell(3000, "Bye", 1234);
    expect(events(text.take())).toEqual([
      { event: "unsubscribed", data: '{"pattern":"a","code":2000,"text":"No more"}' },
      { retry: "1234", event: "disconnect", data: '{"code":3000,"text":"Bye","retryAfterMs":1234}' },
    ]);
  });
});
