import { expect, test } from "bun:test";
import type { Gap, Message } from "../../../src/client/client.ts";
import { op } from "../../../src/wire/messages.ts";
import type { FakeConnection, Parts } from "../../harness/fake-server.ts";
import { event, reconnect, setUp, take } from "./support.ts";

/** Op 18 through the pattern `s/#`. */
function through(tag: string, offset: number | null, epoch?: number): Parts {
  return [op.message, tag, offset, `${tag} ${offset}`, null, "s/#", ...(epoch === undefined ? [] : [epoch])];
}

function seen(messages: readonly Message[]): string[] {
  return messages.map(({ tag, position }) => `${tag} ${position?.epoch}:${position?.offset}`);
}

/** Answers a history request with offsets `from`…`to` of a log whose top is `top`. */
async function answerHistory(
  connection: FakeConnection,
  page: { epoch: number; from: number; to: number; top: number },
): Promise<Parts> {
  const { epoch, from, to, top } = page;
  const request = await connection.next(op.history);
  const messages = Array.from({ length: to - from + 1 }, (_, i) => [from + i, `log ${from + i}`, null, 5]);
  connection.send([op.ok, request[1], { position: [epoch, top], messages, more: to < top, recovered: true }]);
  return request;
}

test("a pattern learns positions from its answer and its messages, and sends them after a reconnect", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, {
    unseen: [
      ["s/a", 7, 3],
      ["s/b", 8, 0],
    ],
  });
  first.send(through("s/a", 4, 7), through("s/c", 1, 9));
  const messages = await take(sub, 2);
  expect(seen(messages)).toEqual(["s/a 7:4", "s/c 9:1"]);
  expect(messages[0]?.pattern).toBe("s/#");
  expect(Object.fromEntries(sub.positions)).toEqual({
    "s/a": { epoch: 7, offset: 4 },
    "s/b": { epoch: 8, offset: 0 },
    "s/c": { epoch: 9, offset: 1 },
  });
  const second = await reconnect(setup, first);
  const positions = { "s/a": [7, 5], "s/b": [8, 0], "s/c": [9, 1] };
  const request = await second.answer(op.subscribe, { positions, unseen: [] });
  expect((request[3] as { since: unknown }).since).toEqual({ "s/a": [7, 4], "s/b": [8, 0], "s/c": [9, 1] });
  second.send(through("s/a", 4, 7), through("s/a", 5, 7), through("s/a", 6, 7));
  expect(seen(await take(sub, 2))).toEqual(["s/a 7:5", "s/a 7:6"]);
  expect(gaps).toEqual([]);
});

test("a tag that appeared meanwhile is read from its log before its live messages", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [["s/a", 7, 3]] });
  await sub.ready;
  const second = await reconnect(setup, first);
  await second.answer(op.subscribe, { positions: { "s/a": [7, 3] }, unseen: [["s/new", 5, 3]] });
  // Live messages of both tags come before the log has been read.
  second.send(through("s/new", 4, 5), through("s/a", 4, 7));
  const request = await answerHistory(second, { epoch: 5, from: 1, to: 2, top: 4 });
  expect(request.slice(2)).toEqual(["s/new", { since: [5, 0], limit: 1000 }]);
  expect((await answerHistory(second, { epoch: 5, from: 3, to: 4, top: 4 }))[3]).toMatchObject({ since: [5, 2] });
  expect(seen(await take(sub, 5))).toEqual(["s/a 7:4", "s/new 5:1", "s/new 5:2", "s/new 5:3", "s/new 5:4"]);
  second.send(through("s/new", 5, 5));
  expect(seen(await take(sub, 1))).toEqual(["s/new 5:5"]);
});

// A connection lost before the first message told a gap although the answer had said that there was no log yet.
test("where nothing was there at first, what appeared meanwhile is new, and nothing is missing", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [] });
  await sub.ready;
  const second = await reconnect(setup, first);
  const request = await second.answer(op.subscribe, { positions: {}, unseen: [["s/new", 5, 2]] });
  expect((request[3] as { since: unknown }).since).toEqual({});
  await answerHistory(second, { epoch: 5, from: 1, to: 2, top: 2 });
  expect(seen(await take(sub, 2))).toEqual(["s/new 5:1", "s/new 5:2"]);
  expect(gaps).toEqual([]);
});

test("positions beyond 256 are recovered from the logs", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const tags = Array.from({ length: 258 }, (_, i) => `s/${i}`);
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: tags.slice(0, 256).map((tag) => [tag, 1, 1]), more: true });
  first.send(through("s/256", 1, 1), through("s/257", 1, 1));
  await take(sub, 2);
  const second = await reconnect(setup, first);
  const request = await second.next(op.subscribe);
  const since = Object.keys((request[3] as { since: object }).since);
  expect(since).toHaveLength(256);
  const positions = Object.fromEntries(since.map((tag) => [tag, [1, 1]]));
  const rest = tags.filter((tag) => !since.includes(tag));
  second.send([
    op.ok,
    request[1],
    {
      positions,
      unseen: [
        [rest[0], 1, 2],
        [rest[1], 1, 1],
      ],
    },
  ]);
  // One of the two has something new.
  const read = await answerHistory(second, { epoch: 1, from: 2, to: 2, top: 2 });
  expect(read.slice(2)).toEqual([rest[0], { since: [1, 1], limit: 1000 }]);
  expect(seen(await take(sub, 1))).toEqual([`${rest[0]} 1:2`]);
  const published = client.publish("t", "next");
  await second.answer(op.publish);
  await published;
});

test("where tags were never listed, a new one may be old: that is told, not guessed", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [["s/a", 1, 1]], more: true });
  await sub.ready;
  const second = await reconnect(setup, first);
  await second.answer(op.subscribe, { positions: { "s/a": [1, 1] }, unseen: [["s/old", 1, 9]], more: true });
  second.send(through("s/old", 10, 1));
  expect(seen(await take(sub, 1))).toEqual(["s/old 1:10"]);
  expect(gaps.map(({ tag, reason, to }) => [tag, reason, to])).toEqual([
    ["s/#", "away", null],
    ["s/old", "away", 9],
  ]);
});

test("a lost tag is one gap, told by the server or by what follows", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const since = new Map([
    ["s/a", { epoch: 1, offset: 2 }],
    ["s/b", { epoch: 1, offset: 2 }],
    ["s/gone", { epoch: 1, offset: 2 }],
  ]);
  const sub = client.subscribe("s/#", { since });
  const connection = await server.welcome();
  await connection.answer(op.subscribe, {
    positions: { "s/a": [1, 9], "s/b": [2, 1] },
    lost: ["s/a", "s/b"],
    unseen: [],
  });
  connection.send([op.gap, "s/a", 3, 8, { code: 202, pattern: "s/#" }], through("s/a", 9, 1), through("s/b", 1, 2));
  expect(seen(await take(sub, 2))).toEqual(["s/a 1:9", "s/b 2:1"]);
  expect(gaps.map(({ tag, reason, from, to }) => [tag, reason, from, to])).toEqual([
    ["s/gone", "not-recovered", null, null],
    ["s/a", "told", 3, 8],
    ["s/b", "not-recovered", null, null],
  ]);
});

test("without the history grant a pattern tells by tag what it missed", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, {
    unseen: [
      ["s/a", 1, 2],
      ["s/b", 1, 2],
    ],
  });
  await sub.ready;
  const second = await reconnect(setup, first);
  await second.refuse(op.subscribe, 103);
  const request = await second.answer(op.subscribe, {
    unseen: [
      ["s/a", 1, 5],
      ["s/b", 1, 2],
      ["s/new", 3, 1],
    ],
  });
  expect(request[3]).toEqual({});
  second.send(through("s/a", 6, 1));
  expect(seen(await take(sub, 1))).toEqual(["s/a 1:6"]);
  expect(gaps.map(({ tag, reason, from, to }) => [tag, reason, from, to])).toEqual([
    ["s/a", "denied", 3, 5],
    ["s/new", "denied", null, 1],
  ]);
});

test("a log that may not be read is told, and its live messages go on", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const told = event(client, "gap");
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [["s/a", 1, 2]] });
  await sub.ready;
  const second = await reconnect(setup, first);
  await second.answer(op.subscribe, { positions: { "s/a": [1, 2] }, unseen: [["s/new", 3, 4]] });
  await second.next(op.history).then((request) => {
    second.send(through("s/new", 5, 3), [op.error, request[1], 103, "The token does not grant this"]);
  });
  expect(await told).toMatchObject({ reason: "denied", tag: "s/new", from: 1, to: 4 });
  expect(seen(await take(sub, 1))).toEqual(["s/new 3:5"]);
});

test("a connection lost while a log is read is no loss: the next one reads on", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [["s/a", 1, 0]] });
  await sub.ready;
  const second = await reconnect(setup, first);
  await second.answer(op.subscribe, { positions: { "s/a": [1, 0] }, unseen: [["s/new", 3, 4]] });
  await answerHistory(second, { epoch: 3, from: 1, to: 2, top: 4 });
  expect(seen(await take(sub, 2))).toEqual(["s/new 3:1", "s/new 3:2"]);
  await second.next(op.history);
  const third = await reconnect(setup, second);
  const request = await third.answer(op.subscribe, { positions: { "s/a": [1, 0], "s/new": [3, 4] }, unseen: [] });
  expect((request[3] as { since: unknown }).since).toEqual({ "s/a": [1, 0], "s/new": [3, 2] });
  third.send(through("s/new", 3, 3), through("s/new", 4, 3));
  expect(seen(await take(sub, 2))).toEqual(["s/new 3:3", "s/new 3:4"]);
  expect(gaps).toEqual([]);
});

test("more live messages than can wait for a log are read from it", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [["s/a", 1, 0]] });
  await sub.ready;
  const second = await reconnect(setup, first);
  await second.answer(op.subscribe, { positions: { "s/a": [1, 0] }, unseen: [["s/new", 3, 1]] });
  const request = await second.next(op.history);
  // The page was read before 400 live messages came, of which only the newest can wait.
  second.send(...Array.from({ length: 400 }, (_, i) => through("s/new", 2 + i, 3)));
  second.send([op.ok, request[1], { position: [3, 1], messages: [[1, "x", null, 5]], more: false, recovered: true }]);
  expect((await answerHistory(second, { epoch: 3, from: 2, to: 401, top: 401 }))[3]).toMatchObject({ since: [3, 1] });
  expect((await take(sub, 401)).map(({ offset }) => offset)).toEqual(Array.from({ length: 401 }, (_, i) => i + 1));
});

test("a gap told while a log is read moves nothing, and the log is read once more", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [["s/a", 1, 0]] });
  await sub.ready;
  const second = await reconnect(setup, first);
  await second.answer(op.subscribe, { positions: { "s/a": [1, 0] }, unseen: [["s/new", 3, 2]] });
  const request = await second.next(op.history);
  const page = { position: [3, 2], messages: [1, 2].map((n) => [n, "x", null, 5]), more: false, recovered: true };
  second.send([op.gap, "s/new", 3, 4, { code: 200, count: 2, pattern: "s/#" }], through("s/new", 5, 3));
  second.send([op.ok, request[1], page]);
  const again = await answerHistory(second, { epoch: 3, from: 3, to: 5, top: 5 });
  expect(again[3]).toMatchObject({ since: [3, 2] });
  expect((await take(sub, 5)).map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5]);
  expect(gaps.map(({ tag, reason, from, to }) => [tag, reason, from, to])).toEqual([["s/new", "told", 3, 4]]);
});

test("through a wildcard a retained message, or the newest that were asked for, outlive a lost connection", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, {
    unseen: [
      ["s/a", 7, 9, 8],
      ["s/b", 8, 3, 1],
      ["s/c", 9, 2],
    ],
  });
  first.send(through("s/b", 2, 8));
  expect(seen(await take(sub, 1))).toEqual(["s/b 8:2"]);
  const second = await reconnect(setup, first);
  const positions = { "s/a": [7, 9], "s/b": [8, 3], "s/c": [9, 2] };
  const request = await second.answer(op.subscribe, { positions, unseen: [] });
  expect((request[3] as { since: unknown }).since).toEqual({ "s/a": [7, 8], "s/b": [8, 2], "s/c": [9, 2] });
  second.send(through("s/a", 9, 7), through("s/b", 3, 8));
  expect(seen(await take(sub, 2))).toEqual(["s/a 7:9", "s/b 8:3"]);
  expect(gaps).toEqual([]);
});

test("a tag that appeared meanwhile and that is delivered from its first message is not read", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const gaps: Gap[] = [];
  client.on("gap", (gap) => void gaps.push(gap));
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [["s/a", 7, 3]] });
  await sub.ready;
  const second = await reconnect(setup, first);
  await second.answer(op.subscribe, { positions: { "s/a": [7, 3] }, unseen: [["s/new", 5, 1, 0]] });
  second.send(through("s/new", 1, 5));
  expect(seen(await take(sub, 1))).toEqual(["s/new 5:1"]);
  // The next request is not one for the log.
  const published = client.publish("t", "next");
  await second.answer(op.publish);
  await published;
  expect(gaps).toEqual([]);
});

test("a gap concerns the one subscription that it names, of several that match", async () => {
  // One of a tag used to go to all of them, so that each told what only one had missed.
  await using setup = setUp();
  const { client, server } = setup;
  const patterns = ["s/a", "s/#", "s/+"];
  const told: unknown[] = [];
  const subs = patterns.map((pattern) => client.subscribe(pattern));
  for (const sub of subs) sub.on("gap", ({ tag, from, to }) => void told.push([sub.pattern, tag, from, to]));
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { position: [7, 3] });
  for (let i = 0; i < 2; i++) await connection.answer(op.subscribe, { unseen: [["s/a", 7, 3]] });
  connection.send(
    [op.gap, "s/a", 4, 5, { code: 200, count: 2 }],
    [op.gap, "s/a", 4, 6, { code: 201, count: 3, pattern: "s/#" }],
    [op.gap, "s/+", null, null, { code: 200, count: 9 }],
    [op.gap, "s/a", 4, 9, { code: 200, pattern: "s/a/#" }],
    [op.message, "s/a", 6, "exact"],
    [op.message, "s/a", 7, "wild", null, "s/#", 7],
    [op.message, "s/a", 4, "level", null, "s/+", 7],
  );
  const got = await Promise.all(subs.map(async (sub) => (await take(sub, 1))[0]?.offset));
  expect(got).toEqual([6, 7, 4]);
  expect(told).toEqual([
    ["s/a", "s/a", 4, 5],
    ["s/#", "s/a", 4, 6],
    ["s/+", "s/+", null, null],
  ]);
});

test("a copy through a wildcard and one of the tag itself go to their own subscriptions", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const wild = client.subscribe("s/#");
  const exact = client.subscribe("s/a");
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { unseen: [["s/a", 7, 3]] });
  await connection.answer(op.subscribe, { position: [7, 3] });
  connection.send([op.message, "s/a", 4, "exact"], through("s/a", 4, 7));
  expect((await take(exact, 1)).map(({ payload, pattern }) => [payload, pattern])).toEqual([["exact", null]]);
  expect((await take(wild, 1)).map(({ payload, pattern }) => [payload, pattern])).toEqual([["s/a 4", "s/#"]]);
});

test("live-only messages of a pattern may have been missed while away", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const told = event(client, "gap");
  const sub = client.subscribe("s/#");
  const first = await server.welcome();
  await first.answer(op.subscribe, { unseen: [["s/a", 7, 3]] });
  first.send(through("s/live", null));
  await take(sub, 1);
  const second = await reconnect(setup, first);
  await second.answer(op.subscribe, { positions: { "s/a": [7, 3] }, unseen: [] });
  expect(await told).toMatchObject({ reason: "away", tag: "s/#", from: null, to: null });
});
