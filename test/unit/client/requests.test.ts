import { expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { replyPrefix } from "../../harness/fake-server.ts";
import { event, reconnect, setUp, take } from "./support.ts";

test("a request is answered over a private reply tag, and requests do not mix", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const answers = Promise.all([client.request("q", "one"), client.request("q", "two")]);
  const connection = await server.welcome();
  expect((await connection.answer(op.subscribe, {}))[2]).toBe(`${replyPrefix}/+`);
  const requests = [await connection.next(op.publish), await connection.next(op.publish)];
  const replies = requests.map((request) => (request[4] as { reply: string }).reply);
  expect(new Set(replies).size).toBe(2);
  for (const reply of replies) expect(reply.startsWith(`${replyPrefix}/`)).toBe(true);
  // Answered in the other order, the second one twice.
  for (const i of [1, 1, 0])
    connection.send([op.message, replies[i], null, `to ${requests[i]![3] as string}`, null, `${replyPrefix}/+`]);
  expect((await answers).map(({ payload }) => payload)).toEqual(["to one", "to two"]);
});

test("a request that nobody answers times out", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  const answer = client.request("q", 1, { timeoutMs: 2_000 }).catch((error: unknown) => error);
  await connection.answer(op.subscribe, {});
  await connection.answer(op.publish, {});
  clock.advance(2_000);
  expect(await answer).toMatchObject({ kind: "timeout", retry: true });
});

test("a request without a connection times out too, and is not sent later", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const answer = client.request("q", 1, { timeoutMs: 2_000 }).catch((error: unknown) => error);
  clock.advance(2_000);
  expect(await answer).toMatchObject({ kind: "timeout" });
  const connection = await server.welcome();
  const other = client.publish("t", "other");
  expect((await connection.answer(op.publish))[3]).toBe("other");
  await other;
});

test("a request that is refused says why; one whose connection is lost is not repeated", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const first = await server.welcome();
  const refused = client.request("q", 1).catch((error: unknown) => error);
  await first.answer(op.subscribe, {});
  await first.refuse(op.publish, 103);
  expect(await refused).toMatchObject({ kind: "refused", code: 103 });
  const lost = client.request("q", 2).catch((error: unknown) => error);
  await first.answer(op.publish, {});
  const second = await reconnect(setup, first, { reply: "$reply/other" });
  expect(await lost).toMatchObject({ kind: "disconnected", retry: true });
  // The new session has other reply tags.
  const answer = client.request("q", 3);
  expect((await second.answer(op.subscribe, {}))[2]).toBe("$reply/other/+");
  const request = await second.answer(op.publish, {});
  expect(request[3]).toBe(3);
  second.send([op.message, (request[4] as { reply: string }).reply, null, "ok", null, "$reply/other/+"]);
  expect((await answer).payload).toBe("ok");
});

test("reply answers a request, and nothing else", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const sub = client.subscribe("q");
  const connection = await server.welcome();
  await connection.answer(op.subscribe, {});
  connection.send([op.message, "q", null, 1, { reply: "$reply/x/1" }], [op.message, "q", null, 2]);
  const [asked, plain] = await take(sub, 2);
  const replied = client.reply(asked!, "answer");
  expect((await connection.answer(op.publish, {})).slice(2, 4)).toEqual(["$reply/x/1", "answer"]);
  await replied;
  expect(client.reply(plain!, "answer")).rejects.toMatchObject({ kind: "invalid" });
});

test("history gives a page with positions, and all pages one after the other", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const connection = await server.welcome();
  const pages = client.historyPages("t", { last: 3, limit: 2 });
  const first = pages.next();
  const request = await connection.answer(op.history, {
    position: [7, 9],
    messages: [
      [7, "a", null, 1000],
      [8, "b", { id: "x" }, 2000],
    ],
    more: true,
  });
  expect(request.slice(2)).toEqual(["t", { last: 3, limit: 2 }]);
  expect((await first).value).toMatchObject({
    position: { epoch: 7, offset: 9 },
    messages: [
      { tag: "t", payload: "a", offset: 7, position: { epoch: 7, offset: 7 }, meta: null, timeMs: 1000 },
      { payload: "b", offset: 8, meta: { id: "x" }, timeMs: 2000 },
    ],
  });
  const second = pages.next();
  const next = await connection.answer(op.history, {
    position: [7, 9],
    messages: [[9, "c", null, 3]],
    more: false,
    recovered: true,
  });
  expect(next[3]).toEqual({ since: [7, 8], limit: 2 });
  expect((await second).value).toMatchObject({ recovered: true, more: false });
  expect((await pages.next()).done).toBe(true);
});

test("reads are repeated over a reconnect and where a retry can help", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const first = await server.welcome();
  const members = client.presence("room");
  await first.next(op.presence);
  const second = await reconnect(setup, first);
  await second.refuse(op.presence, 115);
  // The refusal has arrived when something sent after it has.
  const told = event(client, "error");
  second.send([op.error, 0, 102, ""]);
  await told;
  await Promise.resolve();
  clock.advance(0);
  await second.answer(op.presence, { version: 4, count: 300, members: null });
  expect(await members).toEqual({ version: 4, count: 300, members: null });
});

test("a read that stays refused rejects", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const connection = await server.welcome();
  const page = client.history("t").catch((error: unknown) => error);
  await connection.refuse(op.history, 113);
  expect(await page).toMatchObject({ kind: "refused", code: 113, retry: false });
});
