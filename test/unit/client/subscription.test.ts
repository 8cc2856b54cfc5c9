import { expect, spyOn, test } from "bun:test";
import { type Gap, type Message, type PresenceChange, TagcastError } from "../../../src/client/client.ts";
import { op } from "../../../src/wire/messages.ts";
import { reconnect, setUp, take } from "./support.ts";

function offsets(messages: readonly Message[]): (number | null)[] {
  return messages.map((message) => message.offset);
}

/** What op 2 asked for beside the pattern. */
function asked(message: readonly unknown[]): Record<string, unknown> {
  return message[3] as Record<string, unknown>;
}

test("messages come to the callback with their position, in the order of the wire", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const got: Message[] = [];
  const { promise: two, resolve } = Promise.withResolvers<void>();
  const sub = client.subscribe("a/b", (message) => {
    if (got.push(message) === 2) resolve();
  });
  const connection = await server.welcome();
  expect((await connection.answer(op.subscribe, { position: [7, 3] })).slice(2)).toEqual(["a/b", {}]);
  expect(await sub.ready).toEqual({ position: { epoch: 7, offset: 3 }, recovered: null, presence: null });
  connection.send([op.message, "a/b", 4, { x: 1 }], [op.message, "a/b", 5, "y", { reply: "r", more: 1 }]);
  await two;
  expect(got).toEqual([
    { tag: "a/b", payload: { x: 1 }, offset: 4, position: { epoch: 7, offset: 4 }, meta: null, pattern: null },
    {
      tag: "a/b",
      payload: "y",
      offset: 5,
      position: { epoch: 7, offset: 5 },
      meta: { reply: "r", more: 1 },
      pattern: null,
    },
  ]);
  expect(sub.position).toEqual({ epoch: 7, offset: 5 });
});

test("messages in the same frame as the answer are not lost", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("t", { last: 2 });
  const connection = await server.welcome();
  const request = await connection.next(op.subscribe);
  expect(asked(request)).toEqual({ last: 2 });
  connection.send(
    [op.ok, request[1], { position: [1, 9], start: 7 }],
    [op.message, "t", 8, "a"],
    [op.message, "t", 9, "b"],
  );
  expect(offsets(await take(sub, 2))).toEqual([8, 9]);
  // What the application is told is where the log stood.
  expect((await sub.ready).position).toEqual({ epoch: 1, offset: 9 });
});

test("a connection lost before or amid the newest ones that were asked for loses none of them", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("t", { last: 4 });
  const first = await server.welcome();
  // The log holds fewer than were asked for.
  await first.answer(op.subscribe, { position: [7, 9], start: 6 });
  await sub.ready;
  const second = await reconnect(setup, first);
  const again = await second.answer(op.subscribe, { position: [7, 9], start: 6, recovered: true });
  expect(asked(again)).toEqual({ since: [7, 6] });
  second.send([op.message, "t", 7, "a"], [op.message, "t", 8, "b"]);
  expect(offsets(await take(sub, 2))).toEqual([7, 8]);
  const third = await reconnect(setup, second);
  const last = await third.answer(op.subscribe, { position: [7, 10], start: 8, recovered: true });
  expect(asked(last)).toEqual({ since: [7, 8] });
  third.send([op.message, "t", 9, "c"], [op.message, "t", 10, "d"]);
  expect(offsets(await take(sub, 2))).toEqual([9, 10]);
  expect(gaps).toEqual([]);
});

test("a message missing among the newest ones that were asked for is a gap", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const told = Promise.withResolvers<Gap>();
  client.on("gap", told.resolve);
  const sub = client.subscribe("t", { last: 4 });
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { position: [7, 9], start: 5 });
  connection.send([op.message, "t", 8, "x"]);
  expect(offsets(await take(sub, 1))).toEqual([8]);
  expect(await told.promise).toMatchObject({ reason: "jump", from: 6, to: 7 });
});

test("a retained message comes once, also where the connection is lost before it", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("kept");
  const first = await server.welcome();
  await first.answer(op.subscribe, { position: [7, 3], start: 2 });
  await sub.ready;
  const second = await reconnect(setup, first);
  const request = await second.answer(op.subscribe, { position: [7, 3], start: 2, recovered: true });
  expect(asked(request)).toEqual({ since: [7, 2] });
  second.send([op.message, "kept", 3, "c"], [op.message, "kept", 3, "c"], [op.message, "kept", 4, "d"]);
  expect(offsets(await take(sub, 2))).toEqual([3, 4]);
  expect(gaps).toEqual([]);
});

test("after a reconnect the subscription goes on from its position, without loss or doubles", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("t");
  const first = await server.welcome();
  await first.answer(op.subscribe, { position: [7, 0] });
  first.send([op.message, "t", 1, "a"], [op.message, "t", 2, "b"]);
  expect(offsets(await take(sub, 2))).toEqual([1, 2]);
  const second = await reconnect(setup, first);
  const request = await second.answer(op.subscribe, { position: [7, 4], start: 2, recovered: true });
  expect(asked(request)).toEqual({ since: [7, 2] });
  // The server repeats one that was delivered before.
  second.send(
    [op.message, "t", 2, "b"],
    [op.message, "t", 3, "c"],
    [op.message, "t", 4, "d"],
    [op.message, "t", 5, "e"],
  );
  expect(offsets(await take(sub, 3))).toEqual([3, 4, 5]);
  expect(gaps).toEqual([]);
});

test("offsets that jump are a gap, told before what follows it", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const log: unknown[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const sub = client.subscribe("t", (message) => {
    log.push(message.offset);
    if (message.offset === 9) resolve();
  });
  sub.on("gap", ({ tag, pattern, reason, from, to }) => void log.push({ tag, pattern, reason, from, to }));
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { position: [1, 3] });
  connection.send([op.message, "t", 4, 0], [op.message, "t", 9, 0]);
  await done;
  expect(log).toEqual([4, { tag: "t", pattern: "t", reason: "jump", from: 5, to: 8 }, 9]);
});

test("a gap of the server is handed on with its code, and moves the position", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("t");
  const told = Promise.withResolvers<Gap>();
  client.on("gap", told.resolve);
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { position: [1, 3] });
  connection.send([op.gap, "t", 4, 6, { code: 200, count: 3, future: true }], [op.message, "t", 7, "x"]);
  expect(await told.promise).toEqual({
    tag: "t",
    pattern: "t",
    reason: "told",
    from: 4,
    to: 6,
    code: 200,
    count: 3,
    epoch: null,
  });
  expect(offsets(await take(sub, 1))).toEqual([7]);
});

test("a recovery that is not whole is one gap, and then everything that is left", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("t", { since: { epoch: 7, offset: 2 } });
  const connection = await server.welcome();
  const request = await connection.next(op.subscribe);
  expect(asked(request)).toEqual({ since: [7, 2] });
  connection.send(
    [op.ok, request[1], { position: [7, 9], start: 7, recovered: false }],
    [op.gap, "t", 3, 7, { code: 202 }],
    [op.message, "t", 8, "a"],
    [op.message, "t", 9, "b"],
  );
  expect(offsets(await take(sub, 2))).toEqual([8, 9]);
  expect((await sub.ready).recovered).toBe(false);
  expect(gaps.map(({ reason, from, to, code }) => [reason, from, to, code])).toEqual([["told", 3, 7, 202]]);
});

test("a recovery that is not whole is a gap also where the server says no more about it", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const told = Promise.withResolvers<Gap>();
  client.on("gap", told.resolve);
  const sub = client.subscribe("t", { since: { epoch: 7, offset: 2 } });
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { position: [8, 0], recovered: false });
  await sub.ready;
  clock.advance(1_000);
  expect(await told.promise).toMatchObject({ reason: "not-recovered", epoch: 8 });
  expect(sub.position).toEqual({ epoch: 8, offset: 0 });
});

test("where the token grants no history, a reconnect subscribes without it and tells what was missed", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const told = Promise.withResolvers<Gap>();
  client.on("gap", told.resolve);
  const sub = client.subscribe("t");
  const first = await server.welcome();
  await first.answer(op.subscribe, { position: [7, 2] });
  await sub.ready;
  let connection = await reconnect(setup, first);
  await connection.refuse(op.subscribe, 103);
  expect(asked(await connection.answer(op.subscribe, { position: [7, 5] }))).toEqual({});
  expect(await told.promise).toMatchObject({ reason: "denied", tag: "t", from: 3, to: 5 });
  connection.send([op.message, "t", 6, "x"]);
  expect(offsets(await take(sub, 1))).toEqual([6]);
  // The next time it does not ask for what it will not get, and nothing was missed.
  connection = await reconnect(setup, connection);
  expect(asked(await connection.answer(op.subscribe, { position: [7, 6] }))).toEqual({});
});

test("without the history grant a retained message that comes anyway is not told to be missing", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("kept");
  const first = await server.welcome();
  await first.answer(op.subscribe, { position: [7, 2], start: 1 });
  first.send([op.message, "kept", 2, "b"]);
  expect(offsets(await take(sub, 1))).toEqual([2]);
  let connection = await reconnect(setup, first);
  await connection.refuse(op.subscribe, 103);
  await connection.answer(op.subscribe, { position: [7, 5], start: 4 });
  connection.send([op.message, "kept", 5, "e"]);
  expect(offsets(await take(sub, 1))).toEqual([5]);
  expect(gaps.map(({ reason, from, to }) => [reason, from, to])).toEqual([["denied", 3, 4]]);
  // Nothing came meanwhile, and then one message: the copy is an old one, or all that was missed.
  for (const offset of [5, 6]) {
    connection = await reconnect(setup, connection);
    await connection.answer(op.subscribe, { position: [7, offset], start: offset - 1 });
    connection.send([op.message, "kept", offset, "x"]);
  }
  expect(offsets(await take(sub, 1))).toEqual([6]);
  expect(gaps).toHaveLength(1);
});

test("what a tag without a log missed is told as unknown", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const told = Promise.withResolvers<Gap>();
  client.on("gap", told.resolve);
  const sub = client.subscribe("t");
  const first = await server.welcome();
  await first.answer(op.subscribe, {});
  first.send([op.message, "t", null, "x"]);
  expect(offsets(await take(sub, 1))).toEqual([null]);
  const second = await reconnect(setup, first);
  expect(asked(await second.answer(op.subscribe, {}))).toEqual({});
  expect(await told.promise).toMatchObject({ reason: "away", tag: "t", from: null, to: null });
});

test("all subscriptions are asked for in one frame after a reconnect", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const subs = ["a", "b", "c"].map((tag) => client.subscribe(tag));
  const first = await server.welcome();
  for (let i = 0; i < 3; i++) await first.answer(op.subscribe, {});
  await Promise.all(subs.map((sub) => sub.ready));
  const second = await reconnect(setup, first);
  for (let i = 0; i < 3; i++) await second.next(op.subscribe);
  expect(second.frames).toEqual([1, 3]);
});

test("a refused subscription ends with its error, and others go on", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const denied = client.subscribe("secret/#");
  const allowed = client.subscribe("t");
  const connection = await server.welcome();
  await connection.refuse(op.subscribe, 103);
  await connection.answer(op.subscribe, {});
  expect(denied.ready).rejects.toMatchObject({ kind: "refused", code: 103 });
  expect((await denied.ended)?.code).toBe(103);
  expect(take(denied, 1)).rejects.toBeInstanceOf(TagcastError);
  connection.send([op.message, "t", null, "x"]);
  expect(await take(allowed, 1)).toHaveLength(1);
});

test("a subscription that the broker cannot take now is asked for again", async () => {
  await using setup = setUp({ random: () => 1 });
  const { client, server, clock } = setup;
  const sub = client.subscribe("t");
  const connection = await server.welcome();
  await connection.refuse(op.subscribe, 115);
  const page = client.history("t");
  await connection.answer(op.history, { position: [1, 0], messages: [], more: false });
  await page;
  clock.advance(500);
  await connection.answer(op.subscribe, {});
  await sub.ready;
});

test("op 21 below 2500 ends a subscription, from 2500 on it is made again from its position", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const lost = client.subscribe("lost");
  const kept = client.subscribe("kept");
  const connection = await server.welcome();
  await connection.answer(op.subscribe, {});
  await connection.answer(op.subscribe, { position: [7, 4] });
  await kept.ready;
  connection.send([op.unsubscribed, "lost", 2000, "No longer granted"], [op.unsubscribed, "kept", 2500, "State lost"]);
  expect(await lost.ended).toMatchObject({ kind: "unsubscribed", code: 2000, message: "No longer granted" });
  clock.advance(0);
  expect(asked(await connection.answer(op.subscribe, { position: [7, 5], start: 4, recovered: true }))).toEqual({
    since: [7, 4],
  });
  connection.send([op.message, "kept", 5, "x"]);
  expect(offsets(await take(kept, 1))).toEqual([5]);
});

test("unsubscribe ends the iterator after what was buffered, and tells the server", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("t");
  const connection = await server.welcome();
  await connection.answer(op.subscribe, {});
  connection.send([op.message, "t", null, "x"], [op.message, "t", null, "y"]);
  const [first] = await take(sub, 1);
  const done = sub.unsubscribe();
  expect((await connection.answer(op.unsubscribe))[2]).toBe("t");
  await done;
  const rest: unknown[] = [];
  for await (const message of sub) rest.push(message.payload);
  expect([first?.payload, ...rest]).toEqual(["x", "y"]);
  expect(await sub.ended).toBeNull();
  // The pattern is free again.
  client.subscribe("t");
  await connection.next(op.subscribe);
});

test("leaving the loop over a subscription unsubscribes", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("t");
  const connection = await server.welcome();
  await connection.answer(op.subscribe, {});
  connection.send([op.message, "t", null, "x"]);
  for await (const message of sub) {
    expect(message.payload).toBe("x");
    break;
  }
  await connection.next(op.unsubscribe);
});

test("a pattern can be subscribed to once", async () => {
  await using setup = setUp();
  setup.client.subscribe("t");
  expect(() => setup.client.subscribe("t")).toThrow('Already subscribed to "t"');
});

test("an iterator that falls behind interrupts delivery, and gets everything from the log when it goes on", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("t", { bufferMax: 2 });
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { position: [7, 0] });
  connection.send(...[1, 2, 3, 4].map((offset) => [op.message, "t", offset, offset]));
  await connection.answer(op.unsubscribe);
  expect(offsets(await take(sub, 2))).toEqual([1, 2]);
  const request = await connection.answer(op.subscribe, { position: [7, 4], start: 2, recovered: true });
  expect(asked(request)).toEqual({ since: [7, 2] });
  connection.send([op.message, "t", 3, 3], [op.message, "t", 4, 4]);
  expect(offsets(await take(sub, 2))).toEqual([3, 4]);
  expect(gaps).toEqual([]);
});

test("an iterator that falls behind on a tag without a log loses messages and is told once", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("t", { bufferMax: 2 });
  const connection = await server.welcome();
  await connection.answer(op.subscribe, {});
  connection.send(...[1, 2, 3, 4].map((n) => [op.message, "t", null, n]));
  // An answer that comes after them: they have arrived.
  const page = client.history("t");
  await connection.answer(op.history, { position: [1, 0], messages: [], more: false });
  await page;
  expect((await take(sub, 2)).map((message) => message.payload)).toEqual([1, 2]);
  connection.send([op.message, "t", null, 5]);
  expect((await take(sub, 1)).map((message) => message.payload)).toEqual([5]);
  expect(gaps.map(({ reason, tag }) => [reason, tag])).toEqual([["overflow", "t"]]);
});

test("presence is the list of the answer and every change after it, by generation", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("room", { presence: true, info: { name: "A" } });
  const changes: unknown[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  sub.on("presence", (change) => {
    changes.push([change.joined.map((m) => m.client), change.left.map((m) => m.client), change.count]);
    if (change.version === 7) resolve();
  });
  const connection = await server.welcome();
  const request = await connection.answer(op.subscribe, {
    presence: { version: 3, count: 1, members: [["a", 1, { name: "A" }]] },
  });
  expect(asked(request)).toEqual({ presence: true, info: { name: "A" } });
  expect((await sub.ready).presence?.members).toEqual([{ client: "a", generation: 1, info: { name: "A" } }]);
  connection.send(
    [op.presenceChange, "room", 3, [["old", 0, null]], [], 9],
    [
      op.presenceChange,
      "room",
      5,
      [
        ["b", 5, null],
        ["a", 4, null],
      ],
      [["a", 1]],
      2,
    ],
    // The leave of an older connection does not remove the newer one; and the list of the answer may be told again.
    [op.presenceChange, "room", 6, [], [["b", 2]], 2],
    [op.presenceChange, "room", 7, [["c", 9, null]], [], 3],
  );
  await done;
  expect(changes).toEqual([
    [["b", "a"], ["a"], 2],
    [["c"], [], 3],
  ]);
  expect(sub.presence?.members?.map(({ client: name, generation }) => `${name}${generation}`).sort()).toEqual([
    "a4",
    "b5",
    "c9",
  ]);
});

test("presence after a reconnect is told as the changes since", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("room", { presence: true });
  const first = await server.welcome();
  const list = (version: number, ...members: unknown[][]) => ({
    presence: { version, count: members.length, members },
  });
  await first.answer(op.subscribe, list(3, ["me", 1, null], ["gone", 2, null], ["stays", 3, null]));
  await sub.ready;
  const changed = new Promise<PresenceChange>((resolve) => void sub.on("presence", resolve));
  const second = await reconnect(setup, first);
  // Another server counts from the start.
  await second.answer(op.subscribe, list(1, ["me", 9, null], ["stays", 3, null], ["came", 4, null]));
  const { joined, left, count, version } = await changed;
  expect(joined.map(({ client: name, generation }) => [name, generation])).toEqual([
    ["me", 9],
    ["came", 4],
  ]);
  expect(left.map(({ client: name, generation }) => [name, generation])).toEqual([
    ["me", 1],
    ["gone", 2],
  ]);
  expect([count, version]).toEqual([3, 1]);
});

test("who left is told with what was known of them, and a full list as the changes that it makes", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("room", { presence: true });
  const changes: unknown[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  sub.on("presence", ({ joined, left, version }) => {
    changes.push([joined.map((m) => m.info), left.map((m) => m.info)]);
    if (version === 7) resolve();
  });
  const connection = await server.welcome();
  const members = [
    ["a", 1, "Ann"],
    ["b", 2, "Bob"],
  ];
  await connection.answer(op.subscribe, { presence: { version: 3, count: 2, members } });
  await sub.ready;
  connection.send(
    [op.presenceChange, "room", 4, [], [["b", 2]], 1],
    [op.presenceChange, "room", 5, null, null, 300],
    [op.presenceChange, "room", 6, [["c", 3, "Cid"]], null, 1],
    [op.presenceChange, "room", 7, [["d", 4, "Dan"]], null, 1],
  );
  await done;
  expect(changes).toEqual([
    [[], ["Bob"]],
    [[], []],
    [[], []],
    [["Dan"], ["Cid"]],
  ]);
  expect(sub.presence).toEqual({ version: 7, count: 1, members: [{ client: "d", generation: 4, info: "Dan" }] });
});

test("a callback that throws does not keep the others from their messages", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const uncaught = Promise.withResolvers<unknown>();
  // The test runner takes every uncaught exception for a failure: this one is caught where it is thrown again.
  const standard = globalThis.queueMicrotask;
  using _ = spyOn(globalThis, "queueMicrotask").mockImplementation((run) => {
    standard(() => {
      try {
        run();
      } catch (error) {
        uncaught.resolve(error);
      }
    });
  });
  client.subscribe("a", () => {
    throw new Error("Bug of the application");
  });
  const other = client.subscribe("b");
  const connection = await server.welcome();
  await connection.answer(op.subscribe, {});
  await connection.answer(op.subscribe, {});
  connection.send([op.message, "a", null, 1], [op.message, "b", null, 2]);
  expect(await take(other, 1)).toHaveLength(1);
  expect(await uncaught.promise).toMatchObject({ message: "Bug of the application" });
});
