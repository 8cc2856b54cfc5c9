import { expect, test } from "bun:test";
import { Raw, TagcastError } from "../../../src/client/client.ts";
import { op } from "../../../src/wire/messages.ts";
import { type FakeConnection, type Parts } from "../../harness/fake-server.ts";
import { event, reconnect, setUp } from "./support.ts";

function idOf(message: Parts): unknown {
  return (message[4] as { id?: unknown }).id;
}

async function publishes(connection: FakeConnection, count: number): Promise<Parts[]> {
  const messages: Parts[] = [];
  for (let i = 0; i < count; i++) messages.push(await connection.next(op.publish));
  return messages;
}

test("a publish is acknowledged with its position, and carries an id of its own", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const connection = await server.welcome();
  const published = client.publish("a/b", { x: 1 });
  const other = client.publish("live", "y", { echo: false, reply: "answers" });
  const [first, second] = await publishes(connection, 2);
  expect(first!.slice(2, 4)).toEqual(["a/b", { x: 1 }]);
  expect(second![4]).toEqual({ id: idOf(second!), echo: false, reply: "answers" });
  expect(idOf(first!)).not.toBe(idOf(second!));
  expect(new TextEncoder().encode(String(idOf(first!))).length).toBeLessThanOrEqual(32);
  // Answers may come in any order.
  connection.send([op.ok, second![1], {}], [op.ok, first![1], { position: [7, 12], repeated: true }]);
  expect(await published).toEqual({ position: { epoch: 7, offset: 12 }, repeated: true });
  expect(await other).toEqual({ position: null, repeated: false });
  expect(client.unacknowledged).toBe(0);
});

test("what one turn publishes leaves in one frame", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const connection = await server.welcome();
  await client.ready();
  void Promise.allSettled([1, 2, 3].map((n) => client.publish("t", n)));
  await publishes(connection, 3);
  expect(connection.frames).toEqual([1, 3]);
});

test("after a reconnect exactly what was not acknowledged is sent again, with the same ids and in order", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const first = await server.welcome();
  const results = [0, 1, 2, 3].map((n) => client.publish("t", n));
  const sent = await publishes(first, 4);
  first.send([op.ok, sent[1]![1], { position: [1, 1] }]);
  await results[1];
  const second = await reconnect(setup, first);
  const again = await publishes(second, 3);
  expect(again.map((message) => [message[3], idOf(message)])).toEqual([0, 2, 3].map((n) => [n, idOf(sent[n]!)]));
  again.forEach((message, i) => second.send([op.ok, message[1], { position: [1, 2 + i] }]));
  const positions = (await Promise.all(results)).map(({ position }) => position?.offset);
  expect(positions).toEqual([2, 1, 3, 4]);
  expect(client.unacknowledged).toBe(0);
});

test("what is published without a connection is sent when there is one", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const results = [client.publish("t", "a"), client.publish("t", "b")];
  const connection = await server.welcome();
  await connection.answer(op.publish);
  await connection.answer(op.publish);
  expect(await Promise.all(results)).toHaveLength(2);
});

test.each([111, 115, 116])("error %i is tried again with the same id, and nothing overtakes it", async (code) => {
  await using setup = setUp({ random: () => 1 });
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const first = client.publish("t", 1);
  const refused = await connection.refuse(op.publish, code);
  // Something later has been answered, so the refusal has arrived.
  const page = client.history("t");
  await connection.answer(op.history, { position: [1, 0], messages: [], more: false });
  await page;
  const second = client.publish("t", 2);
  clock.advance(500);
  const [again, later] = await publishes(connection, 2);
  expect([again![3], idOf(again!)]).toEqual([1, idOf(refused)]);
  expect(later![3]).toBe(2);
  connection.send([op.ok, again![1], {}], [op.ok, later![1], {}]);
  await Promise.all([first, second]);
});

test("an internal error is tried again five times, then passed on", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const result = client.publish("t", 1).catch((error: unknown) => error);
  for (let i = 0; i < 5; i++) {
    await connection.refuse(op.publish, 100);
    const page = client.history("t");
    await connection.answer(op.history, { position: [1, 0], messages: [], more: false });
    await page;
    clock.advance(0);
  }
  expect(await result).toMatchObject({ kind: "refused", code: 100 });
});

test("an error that no retry can help is passed on at once", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const connection = await server.welcome();
  const result = client.publish("t", 1).catch((error: unknown) => error);
  await connection.refuse(op.publish, 103);
  const error = (await result) as TagcastError;
  expect(error).toBeInstanceOf(TagcastError);
  expect([error.kind, error.code, error.retry]).toEqual(["refused", 103, false]);
});

test("several tags answer by tag, and only those that a retry can help are tried again", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const result = client.publish(["log", "live", "busy", "odd"], "x");
  const sent = await connection.answer(op.publish, { results: [[3, 4], null, 115, 113] });
  const page = client.history("t");
  await connection.answer(op.history, { position: [1, 0], messages: [], more: false });
  await page;
  clock.advance(0);
  const again = await connection.answer(op.publish, { results: [[3, 9]] });
  expect([again[2], idOf(again)]).toEqual([["busy"], idOf(sent)]);
  const outcomes = await result;
  expect(outcomes.get("log")).toEqual({ position: { epoch: 3, offset: 4 }, repeated: false });
  expect(outcomes.get("live")).toEqual({ position: null, repeated: false });
  expect(outcomes.get("busy")).toEqual({ position: { epoch: 3, offset: 9 }, repeated: false });
  expect(outcomes.get("odd")).toMatchObject({ kind: "refused", code: 113 });
});

test("the queue is bounded by messages and by bytes, also while offline", async () => {
  await using setup = setUp({ queueMaxMessages: 2, queueMaxBytes: 2000 });
  const { client, server } = setup;
  const first = client.publish("t", new Uint8Array(1900));
  expect(client.publish("t", new Uint8Array(1900))).rejects.toMatchObject({ kind: "queue-full", retry: true });
  const second = client.publish("t", 2);
  expect(client.publish("t", 3)).rejects.toMatchObject({ kind: "queue-full" });
  const connection = await server.welcome();
  await connection.answer(op.publish);
  await first;
  const third = client.publish("t", 3);
  await connection.answer(op.publish);
  await connection.answer(op.publish);
  await Promise.all([second, third]);
});

test("without acknowledgement a message is sent once, with ref 0 and no id", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const offline = client.publish("t", 0, { ack: false });
  const first = await server.welcome();
  await offline;
  await client.publish("t", 1, { ack: false });
  const sent = await publishes(first, 2);
  expect(sent).toEqual([
    [op.publish, 0, "t", 0],
    [op.publish, 0, "t", 1],
  ]);
  const second = await reconnect(setup, first);
  await client.publish("t", 2, { ack: false });
  expect((await second.next(op.publish))[3]).toBe(2);
});

test("a payload larger than the server takes is refused here, before it costs the connection", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const early = client.publish("t", new Uint8Array(200)).catch((error: unknown) => error);
  await server.welcome({ payloadMax: 100 });
  expect(await early).toMatchObject({ kind: "refused", code: 110 });
  expect(client.publish("t", "x".repeat(100))).rejects.toMatchObject({ code: 110 });
  expect(client.state).toBe("active");
});

test("the payload is taken as it is at the call, and Raw as the bytes that it is", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const payload = { x: 1 };
  void client.publish("t", payload).catch(() => {});
  payload.x = 2;
  void client.publish("t", new Raw(Uint8Array.of(0x93, 1, 2, 3))).catch(() => {});
  const [first, second] = await publishes(await server.welcome(), 2);
  expect([first![3], second![3]]).toEqual([{ x: 1 }, [1, 2, 3]]);
});

test("what MessagePack has no form for rejects the call", async () => {
  await using setup = setUp();
  expect(setup.client.publish("t", 1n)).rejects.toThrow();
  expect(setup.client.unacknowledged).toBe(0);
});

test("close rejects what is not acknowledged", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const connection = await server.welcome();
  const result = client.publish("t", 1).catch((error: unknown) => error);
  await connection.next(op.publish);
  client.close();
  expect(await result).toMatchObject({ kind: "closed", code: null });
});

test("what waits survives a server that is not there yet", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  server.refuse(true);
  const result = client.publish("t", 1);
  await event(client, "error");
  server.refuse(false);
  clock.advance(0);
  await (await server.welcome()).answer(op.publish, { position: [1, 1] });
  expect((await result).position).toEqual({ epoch: 1, offset: 1 });
});

test("a client that is told that it is too fast publishes nothing for a second, and loses nothing", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const told = event(client, "error", ({ code }) => code === 123);
  connection.send([op.error, 0, 123, "At most 10 messages a second"]);
  await told;
  const results = [0, 1].map((n) => client.publish("t", n));
  // Other requests are not held back.
  const flushed = client.flush();
  const ping = await connection.next(op.ping);
  connection.send([op.ok, ping[1], {}]);
  await flushed;
  expect(connection.frames).toEqual([1, 1]);
  clock.advance(1000);
  for (const message of await publishes(connection, 2)) connection.send([op.ok, message[1], {}]);
  expect((await Promise.all(results)).map(({ repeated }) => repeated)).toEqual([false, false]);
});
