import { beforeEach, describe, expect, spyOn, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { Distributor, turnBytesMax } from "../../../src/hub/distributor.ts";
import { Space, type TagState } from "../../../src/hub/space.ts";
import type { NativeConnection } from "../../../src/hub/subscriber.ts";
import type { LaneTopic, Topic } from "../../../src/hub/topic.ts";
import { MessageView } from "../../../src/wire/frames.ts";
import * as jsonPayload from "../../../src/wire/json-payload.ts";
import type { Lane } from "../../../src/wire/messages.ts";
import { FakeConnection, FakeNativeServer } from "../../harness/native.ts";
import { readFrame } from "../../integration/model/wire.ts";
import { app, messagesIn } from "./support.ts";

class Listener {
  readonly frames: (Uint8Array | string)[] = [];
  readonly connection: FakeConnection;

  constructor(server: FakeNativeServer, lane: Lane) {
    const client = { frame: (frame: Uint8Array | string) => void this.frames.push(frame), closed() {} };
    this.connection = new FakeConnection({ server, lane, client });
  }

  get messages(): unknown[] {
    return messagesIn(this.frames.flatMap(readFrame));
  }
}

let server: FakeNativeServer;
let turns: number;
let distributor: Distributor;
let space: Space;

beforeEach(() => {
  server = new FakeNativeServer();
  turns = 0;
  distributor = new Distributor(() => turns++);
  distributor.addServer(server);
  space = new Space(app, []);
});

function join(pattern: string, lane: Lane = "msgpack"): Listener {
  const listener = new Listener(server, lane);
  topicOf(pattern).join(listener.connection, lane, distributor);
  return listener;
}

function topicOf(pattern: string): Topic {
  return space.topic(pattern, /[+#]/.test(pattern));
}

function laneOf(pattern: string, lane: Lane = "msgpack"): LaneTopic {
  return topicOf(pattern)[lane]!;
}

function deliver(tag: string, payload: unknown, except: NativeConnection | null = null): void {
  const bytes = encode(payload);
  const state: TagState = space.tag(tag);
  const view = new MessageView().set(state, 0, 0).body(bytes, 0, bytes.length, bytes.length);
  distributor.deliver(state, view, null, except);
}

describe("A distributor", () => {
  test("gathers the messages of a turn in one frame of a topic, and asks for the turn's end once", () => {
    const listener = join("a");
    for (const n of [1, 2, 3]) deliver("a", n);
    expect([listener.frames.length, turns]).toEqual([0, 1]);
    distributor.flush();
    expect([listener.frames.length, listener.messages]).toEqual([
      1,
      [
        ["a", null, 1],
        ["a", null, 2],
        ["a", null, 3],
      ],
    ]);
  });

  test("publishes a frame as soon as 4 KiB are full, and a larger message alone, in order", () => {
    const listener = join("a");
    const payloads = ["x".repeat(3000), "y".repeat(3000), "z".repeat(10_000), "last"];
    for (const payload of payloads) deliver("a", payload);
    expect(listener.frames.map((frame) => frame.length > 4096)).toEqual([false, false, true]);
    distributor.flush();
    expect(listener.messages).toEqual(payloads.map((payload) => ["a", null, payload]));
  });

  test("serves every topic that matches, each under its own name", () => {
    const [exact, wild, other] = [join("a/b"), join("a/+"), join("b/#")];
    deliver("a/b", 1);
    distributor.flush();
    expect(exact.frames.flatMap(readFrame)).toEqual([[18, "a/b", null, 1]]);
    expect(wild.frames.flatMap(readFrame)).toEqual([[18, "a/b", null, 1, null, "a/+"]]);
    expect(other.frames).toEqual([]);
  });

  test("renders JSON once for all topics that want it, and not at all where nobody does", () => {
    const render = spyOn(jsonPayload, "payloadToJson");
    try {
      join("a");
      deliver("a", 1);
      expect(render).toHaveBeenCalledTimes(0);
      const listeners = [join("a", "json"), join("a", "json"), join("+", "json")];
      deliver("a", 2);
      expect(render).toHaveBeenCalledTimes(1);
      distributor.flush();
      expect(listeners.map(({ messages }) => messages)).toEqual(listeners.map(() => [["a", null, 2]]));
    } finally {
      render.mockRestore();
    }
  });

  // The topics behind it stayed marked as listed for the flush, and were silent from then on.
  test("serves the other topics of a turn where one fails, tells of that one, and serves them all the next time", () => {
    const listeners = ["a", "b", "c"].map((tag) => join(tag));
    const fails = spyOn(server, "publish").mockImplementationOnce(() => {
      throw new Error("not this one");
    });
    for (const tag of ["a", "b", "c"]) deliver(tag, 1);
    expect(() => distributor.flush()).toThrow("not this one");
    fails.mockRestore();
    for (const tag of ["a", "b", "c"]) deliver(tag, 2);
    distributor.flush();
    expect(listeners.map(({ messages }) => messages.length)).toEqual([1, 2, 2]);
  });

  test("leaves out the socket that does not want its own message, and nobody else", () => {
    const [one, two] = [join("a"), join("a")];
    deliver("a", 1);
    deliver("a", 2, one.connection);
    deliver("a", 3, two.connection);
    deliver("a", 4);
    distributor.flush();
    const payloads = ({ messages }: Listener) => messages.map((message) => (message as unknown[])[2]);
    expect([payloads(one), payloads(two)]).toEqual([
      [1, 3, 4],
      [1, 2, 4],
    ]);
  });

  test("publishes on every listener; the socket to leave out is on one of them", () => {
    const second = new FakeNativeServer();
    distributor.addServer(second);
    const one = join("a");
    const other = new Listener(second, "msgpack");
    topicOf("a").join(other.connection, "msgpack", distributor);
    deliver("a", 1, one.connection);
    distributor.flush();
    expect([one.messages, other.messages]).toEqual([[], [["a", null, 1]]]);
    distributor.removeServer(second);
    deliver("a", 2);
    distributor.flush();
    expect([one.messages.length, other.messages.length]).toEqual([1, 1]);
  });
});

describe("The budget of a turn", () => {
  const size = 100_000;
  const payloads = Array.from({ length: 35 }, (_, i) => `${i}`.padEnd(size, "."));
  const perTurn = Math.floor(turnBytesMax / (size + 20));

  test("bounds what leaves between two ends of turns; the rest follows in order, over all topics", () => {
    const listener = join("#");
    const other = join("b");
    payloads.forEach((payload, i) => deliver(i % 2 === 0 ? "a" : "b", payload));
    const counts = [listener.frames.length + other.frames.length];
    for (let i = 0; i < 10 && distributor.backlogBytes > 0; i++) {
      const before = turns;
      distributor.flush();
      counts.push(listener.frames.length + other.frames.length);
      expect(turns > before || distributor.backlogBytes === 0).toBe(true);
    }
    const steps = counts.map((count, i) => count - (counts[i - 1] ?? 0));
    expect(Math.max(...steps)).toBeLessThanOrEqual(perTurn);
    expect(distributor.counts.deferredFrames).toBe(counts.at(-1)! - perTurn);
    expect(listener.messages.map((message) => (message as unknown[])[2])).toEqual(payloads);
  });

  // A frame that waits was once kept as a view on the writer's memory, which the next message wrote over: `slice` of a
  // Buffer makes no copy.
  test("lets what waits leave with the next turn, where a frame fails", () => {
    const listener = join("a");
    const half = "x".repeat(turnBytesMax / 2);
    for (let n = 0; n < 4; n++) deliver("a", `${n}${half}`);
    distributor.flush();
    const fails = spyOn(server, "publish").mockImplementationOnce(() => {
      throw new Error("not this one");
    });
    const asked = turns;
    expect(() => distributor.flush()).toThrow("not this one");
    expect(turns).toBe(asked + 1);
    fails.mockRestore();
    while (distributor.backlogBytes > 0) distributor.flush();
    expect(listener.messages).toHaveLength(3);
  });

  test("does not change the bytes of what waits", () => {
    const listener = join("a");
    for (const payload of payloads) deliver("a", payload);
    for (let i = 0; i < 5; i++) deliver("a", `small ${i}`);
    while (distributor.backlogBytes > 0) distributor.flush();
    const received = listener.messages.map((message) => (message as unknown[])[2]);
    expect(received).toEqual([...payloads, ...[0, 1, 2, 3, 4].map((i) => `small ${i}`)]);
  });

  test("lets a frame that is larger than it have a turn to itself", () => {
    const listener = join("a");
    const huge = "h".repeat(turnBytesMax + 10);
    for (const payload of ["first".repeat(2000), huge, "last"]) deliver("a", payload);
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) {
      counts.push(listener.frames.length);
      distributor.flush();
    }
    expect(counts).toEqual([1, 1, 2, 3]);
  });

  // Whoever joined or left a topic once made all of it leave at once, whatever waited: enough to end every slow socket.
  test("holds when somebody is about to join or leave: only what gathered goes, or waits too", () => {
    const listener = join("a");
    const quiet = join("b");
    for (const payload of payloads) deliver("a", payload);
    deliver("a", "small");
    deliver("b", 1);
    const sent = listener.frames.length;
    expect(distributor.flushLane(laneOf("a"))).toBe(false);
    expect(listener.frames.length).toBe(sent);
    expect(distributor.flushLane(laneOf("b"))).toBe(true);
    expect(quiet.messages).toEqual([["b", null, 1]]);
    expect(distributor.flushLane(null)).toBe(true);
    while (distributor.backlogBytes > 0) distributor.flush();
    expect(listener.messages.at(-1)).toEqual(["a", null, "small"]);
  });

  test("is not spent on topics that everybody has left, nor is what waits there shown to who joins them anew", () => {
    const listener = join("a");
    for (const payload of payloads) deliver("a", payload);
    topicOf("a").leave(listener.connection, "msgpack");
    const next = join("a");
    distributor.flush();
    expect([distributor.backlogBytes, next.frames.length]).toEqual([0, 0]);
    deliver("a", 1);
    distributor.flush();
    expect(next.messages).toEqual([["a", null, 1]]);
  });

  test("keeps who is to be left out with what waits", () => {
    const [one, two] = [join("a"), join("a")];
    for (const payload of payloads) deliver("a", payload);
    deliver("a", "not for one", one.connection);
    deliver("a", "for both");
    while (distributor.backlogBytes > 0) distributor.flush();
    distributor.flush();
    const last = ({ messages }: Listener) => messages.slice(35).map((message) => (message as unknown[])[2]);
    expect([last(one), last(two)]).toEqual([["for both"], ["not for one", "for both"]]);
  });
});

describe("with a bound on what waits", () => {
  const frame = "x".repeat(500_000);
  const told = (listener: Listener) =>
    listener.frames.flatMap(readFrame).map(([kind, name, , payload]) => [kind, kind === 18 ? payload === frame : name]);
  const drain = () => {
    for (let i = 0; i < 20; i++) {
      distributor.flush();
      server.tick();
    }
  };

  test("what is beyond it is dropped, and one gap stands in its place for all that are dropped in a row", () => {
    distributor = new Distributor(() => turns++, 1_500_000);
    distributor.addServer(server);
    const [a, b, json] = [join("a"), join("b"), join("a", "json")];
    for (let i = 0; i < 8; i++) deliver("a", frame);
    deliver("b", "small");
    expect(distributor.backlogBytes).toBeLessThan(1_600_000);
    expect(distributor.counts.droppedFrames).toBeGreaterThan(4);
    drain();
    for (const listener of [a, json]) {
      const kinds = told(listener);
      expect(kinds.at(-1)).toEqual([20, "a"]);
      expect(kinds.filter(([kind]) => kind === 20)).toHaveLength(1);
      expect(kinds.filter(([kind]) => kind === 18).length).toBeLessThan(8);
    }
    expect(b.messages).toEqual([["b", null, "small"]]);
    expect([distributor.backlogBytes, distributor.gaps[205]]).toEqual([0, 2]);
    deliver("a", frame);
    drain();
    expect([told(a).at(-1), told(json).at(-1)]).toEqual([
      [18, true],
      [18, true],
    ]);
  });

  test("without one everything is kept", () => {
    const a = join("a");
    for (let i = 0; i < 8; i++) deliver("a", frame);
    drain();
    expect([a.messages.length, distributor.counts.droppedFrames]).toEqual([8, 0]);
  });
});
