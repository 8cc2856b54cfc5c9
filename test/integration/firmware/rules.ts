/**
 * What every client for microcontrollers does with a server that says what a test tells it to. The client is a program
 * that obeys lines and prints its events, as c/probe.c does.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { within } from "../../harness/deadline.ts";
import { type FakeConnection, type FakeServer, startFakeServer } from "../../harness/fake-server.ts";
import type { LineProgram } from "../../harness/firmware.ts";

const hexOf = (text: string) => Buffer.from(text, "utf8").toString("hex");

/** `run` starts the program with a URL, a token and options. */
export function followsTheRules(run: (args: readonly string[]) => LineProgram): void {
  describe("a server that says what a test tells it to", () => {
    let server: FakeServer;

    // Each test has its own: a client that is about to end may still come back.
    beforeEach(() => void (server = startFakeServer()));
    afterEach(() => server[Symbol.asyncDispose]());

    async function start(...options: readonly string[]): Promise<LineProgram> {
      // Four times as fast as the clock: waits are shorter, and a heartbeat is still far away.
      const probe = run([server.url, "secret-of-pump-7", "speed=4", ...options]);
      expect(await probe.answer()).toBe(0);
      return probe;
    }

    /** A client subscribed to `t` at a position. */
    async function subscribed(result: object = { position: [7, 41] }, ...options: readonly string[]) {
      const probe = await start(...options);
      await probe.command("subscribe t");
      await probe.command("start");
      const connection = await server.welcome();
      await connection.answer(op.subscribe, result);
      await probe.next("subscribed");
      return { probe, connection };
    }

    /** The next connection, welcomed, and its op 2, answered. */
    async function again(result: object): Promise<{ connection: FakeConnection; since: unknown }> {
      const connection = await server.welcome();
      const [, , , options] = await connection.answer(op.subscribe, result);
      return { connection, since: (options as { since?: unknown } | undefined)?.since };
    }

    test("is told what the configuration says, all in one frame", async () => {
      await using probe = await start("name=pump-7", "ping=30", "message=1", "echo=0");
      await probe.command("subscribe t");
      await probe.command("publish t 07");
      await probe.command("start");
      const connection = await server.accept();
      expect(await connection.next(op.connect)).toEqual([
        op.connect,
        1 + 1,
        { token: "secret-of-pump-7", client: "pump-7", ping: 30, echo: false },
      ]);
      expect(await connection.next(op.subscribe)).toEqual([op.subscribe, 3, "t"]);
      const [, ref, tag, payload, options] = await connection.next(op.publish);
      expect([ref, tag, payload]).toEqual([1, "t", 7]);
      expect((options as { id: Uint8Array }).id).toHaveLength(8);
      expect(connection.frames).toEqual([3]);
    });

    test("`start` is the first position, else that of the answer", async () => {
      for (const [result, position] of [
        [{ position: [7, 41], start: 40 }, [7, 40]],
        [{ position: [7, 41] }, [7, 41]],
      ] as const) {
        const { probe } = await subscribed(result);
        await using _ = probe;
        expect(probe.events.at(-1)?.position).toEqual(position);
      }
    });

    test("a message that was delivered before is not delivered again", async () => {
      const { probe, connection } = await subscribed();
      await using _ = probe;
      connection.send(
        [op.message, "t", 41, 1],
        [op.message, "t", 42, 2],
        [op.message, "t", 42, 3],
        [op.message, "t", 44, 4],
      );
      expect([(await probe.next("message")).offset, (await probe.next("message")).offset]).toEqual([42, 44]);
      connection.send([op.disconnect, 3008, "x", 1]);
      await probe.next("disconnected");
      expect(probe.events.filter(({ event }) => event === "message")).toHaveLength(2);
    });

    test("recovered: the offset stays, and the epoch is the answer's", async () => {
      const { probe, connection } = await subscribed();
      await using _ = probe;
      connection.send([op.message, "t", 42, 1]);
      await probe.next("message");
      connection.cut();
      const next = await again({ position: [8, 50], start: 42, recovered: true });
      expect(next.since).toEqual([7, 42]);
      expect(await probe.next("subscribed")).toMatchObject({ whole: true, position: [8, 42] });
      next.connection.send([op.message, "t", 43, 1]);
      expect(await probe.next("message")).toMatchObject({ epoch: 8, offset: 43 });
    });

    test("not recovered: the old position holds until op 20, also over a broken connection", async () => {
      const { probe, connection } = await subscribed();
      await using _ = probe;
      connection.cut();
      const second = await again({ position: [8, 50], start: 20, recovered: false });
      expect(await probe.next("subscribed")).toMatchObject({ whole: false, position: [7, 41] });
      second.connection.cut();
      const third = await again({ position: [8, 50], start: 20, recovered: false });
      expect(third.since).toEqual([7, 41]);
      third.connection.send([op.gap, "t", null, 20, { code: 202 }], [op.message, "t", 21, 1]);
      expect(await probe.next("gap")).toMatchObject({ code: 202, from: 0, offset: 20, position: [8, 20] });
      expect(await probe.next("message")).toMatchObject({ epoch: 8, offset: 21 });
    });

    test("op 20 may set the position back, and gives the epoch", async () => {
      const { probe, connection } = await subscribed();
      await using _ = probe;
      connection.send([op.gap, "t", 1, 5, { code: 203, epoch: 9 }], [op.message, "t", 6, 1]);
      expect(await probe.next("gap")).toMatchObject({ code: 203, position: [9, 5] });
      expect(await probe.next("message")).toMatchObject({ epoch: 9, offset: 6 });
      connection.send([op.gap, "t", null, null, { code: 204 }]);
      expect(await probe.next("gap")).toMatchObject({ code: 204, position: [9, 6] });
    });

    test("a gap of another subscription moves nothing", async () => {
      const { probe, connection } = await subscribed();
      await using _ = probe;
      connection.send([op.gap, "t", 50, 60, { code: 202, pattern: "#" }], [op.message, "t", 42, 1]);
      expect(await probe.next("message")).toMatchObject({ position: [7, 42] });
      expect(probe.events.some(({ event }) => event === "gap")).toBe(false);
    });

    test("without the grant of history it subscribes without a position, and says that messages are missing", async () => {
      const { probe, connection } = await subscribed();
      await using _ = probe;
      connection.cut();
      const second = await server.welcome();
      await second.refuse(op.subscribe, 103);
      expect((await second.answer(op.subscribe, { position: [7, 60] }))[3]).toBeUndefined();
      expect(await probe.next("subscribed")).toMatchObject({ whole: false, position: [7, 60] });
    });

    test("a live-only tag says at each reconnect that messages may be missing", async () => {
      const { probe, connection } = await subscribed({});
      await using _ = probe;
      expect(probe.events.at(-1)).toMatchObject({ whole: true });
      connection.cut();
      expect((await again({})).since).toBeUndefined();
      expect(await probe.next("subscribed")).toMatchObject({ whole: false });
    });

    test("op 2 that may succeed later is repeated, what ended by 2500–2999 too; other ends are final", async () => {
      const probe = await start();
      await using _ = probe;
      await probe.command("subscribe t");
      await probe.command("start");
      const connection = await server.welcome();
      await connection.refuse(op.subscribe, 115);
      await connection.answer(op.subscribe, { position: [7, 1] });
      await probe.next("subscribed");
      connection.send([op.unsubscribed, "t", 2501, "x"]);
      expect((await connection.answer(op.subscribe, { position: [7, 1], recovered: true }))[3]).toEqual({
        since: [7, 1],
      });
      await probe.next("subscribed");
      connection.send([op.unsubscribed, "t", 2000, "x"]);
      expect(await probe.next("unsubscribed")).toMatchObject({ code: 2000, pattern: "t" });
      await probe.command("subscribe other");
      await connection.refuse(op.subscribe, 103);
      expect(await probe.next("unsubscribed")).toMatchObject({ code: 103, pattern: "other" });
    });

    test("a publish without an answer is repeated with its id after a reconnect, in order", async () => {
      const probe = await start();
      await using _ = probe;
      await probe.command("start");
      const first = await server.welcome();
      const refs = [await probe.command("publish a 01"), await probe.command("publish b 02")];
      const sent = [await first.next(op.publish), await first.next(op.publish)];
      first.cut();
      const second = await server.welcome();
      const repeated = [await second.next(op.publish), await second.next(op.publish)];
      expect(repeated).toEqual(sent);
      second.send([op.ok, sent[1]?.[1], { position: [7, 2], repeated: true }], [op.ok, sent[0]?.[1], {}]);
      expect(await probe.next("acknowledged")).toMatchObject({
        ref: refs[1],
        epoch: 7,
        offset: 2,
        repeated: true,
        tag: "62",
      });
      expect(await probe.next("acknowledged")).toMatchObject({ ref: refs[0], epoch: 0, offset: 0, payload: "01" });
      second.cut();
      const third = await server.welcome();
      expect(await probe.command("ping")).toBeGreaterThan(0);
      await third.answer(op.ping);
      await probe.next("pong");
    });

    test("a refused publish is repeated where that can help, else reported", async () => {
      const probe = await start();
      await using _ = probe;
      await probe.command("start");
      const connection = await server.welcome();
      const ref = await probe.command("publish a 01");
      const [, , , , options] = await connection.refuse(op.publish, 116);
      const repeated = await connection.refuse(op.publish, 110);
      expect([repeated[1], repeated[4]]).toEqual([ref, options]);
      expect(await probe.next("refused")).toMatchObject({ ref, code: 110, tag: "61", payload: "01" });
    });

    test("after close code 1009 what was sent is refused, not repeated", async () => {
      const probe = await start();
      await using _ = probe;
      await probe.command("start");
      const first = await server.welcome();
      const ref = await probe.command("publish a 01");
      await first.next(op.publish);
      first.close(1009);
      expect(await probe.next("disconnected")).toMatchObject({ code: 1009 });
      const second = await server.welcome();
      expect(await probe.next("refused")).toMatchObject({ ref, code: 1009 });
      await probe.command("ping");
      await second.answer(op.ping);
    });

    test("what is longer than the buffer is told and skipped; what comes around it is not", async () => {
      const { probe, connection } = await subscribed({ position: [7, 41] }, "receive=100");
      await using _ = probe;
      const long = Buffer.alloc(16_384, 1);
      connection.send(
        [op.message, "t", 42, 1],
        [op.message, "t", 43, long],
        [op.message, "t", 44, { a: [long, long] }],
        [op.message, "t", 45, 2],
      );
      expect(await probe.next("message")).toMatchObject({ offset: 42 });
      expect(await probe.next("skipped")).toMatchObject({ offset: 43, size: 16_387, position: [7, 43] });
      expect(await probe.next("skipped")).toMatchObject({ offset: 44, size: 32_778 });
      expect(await probe.next("message")).toMatchObject({ offset: 45, payload: "02" });
    });

    test("a long payload through a wildcard is told to the subscription that it was for", async () => {
      const probe = await start("receive=100");
      await using _ = probe;
      await probe.command("subscribe plant/#");
      await probe.command("start");
      const connection = await server.welcome();
      await connection.answer(op.subscribe, {
        positions: {},
        unseen: Array.from({ length: 50 }, (_, i) => [`plant/${i}`, 7, i]),
      });
      await probe.next("subscribed");
      connection.send([op.message, "plant/7", 3, Buffer.alloc(500), { reply: "r" }, "plant/#", 9]);
      expect(await probe.next("skipped")).toMatchObject({ pattern: "plant/#", epoch: 9, offset: 3, size: 503 });
    });

    test("what a newer server says is ignored", async () => {
      const { probe, connection } = await subscribed();
      await using _ = probe;
      connection.send([30, "t", { a: 1 }], [op.message, "t", 42, 1, null, null, null, "more", [1, 2]], [99]);
      connection.send([op.message, "t", 43, 1, { color: 1 }]);
      expect([(await probe.next("message")).offset, (await probe.next("message")).offset]).toEqual([42, 43]);
      expect(probe.events.some(({ event }) => event === "disconnected")).toBe(false);
    });

    test("it waits as long as op 22 says, and not for what stops it", async () => {
      const { probe, connection } = await subscribed({ position: [7, 41] }, "speed=1");
      await using _ = probe;
      connection.send([op.disconnect, 3000, "bye", 700]);
      expect(await probe.next("disconnected")).toMatchObject({ code: 3000, wait: 700, text: hexOf("bye") });
      const begun = performance.now();
      const { connection: second } = await again({ position: [7, 41], recovered: true });
      expect(performance.now() - begun).toBeGreaterThan(500);
      second.send([op.disconnect, 3502, "revoked", 0]);
      expect(await probe.next("stopped")).toMatchObject({ code: 3502 });
    });

    test("it stops after a refused op 1, unless the code says to come again", async () => {
      const probe = await start();
      await using _ = probe;
      await probe.command("start");
      const first = await server.accept();
      await first.refuse(op.connect, 100);
      expect(await probe.next("disconnected")).toMatchObject({ code: 100 });
      const second = await server.accept();
      await second.refuse(op.connect, 107);
      expect(await probe.next("stopped")).toMatchObject({ code: 107 });
      await probe.command("start");
      await server.welcome();
      await probe.next("active");
    });

    test("the waits between attempts are random below bounds that double from 1 to 30 seconds", async () => {
      const probe = run(["ws://127.0.0.1:1/ws", "t", "speed=500"]);
      await using _ = probe;
      await probe.answer();
      await probe.command("start");
      const waits: number[] = [];
      while (waits.length < 40) waits.push((await probe.next("disconnected")).wait);
      for (const [i, wait] of waits.entries()) expect(wait).toBeLessThan(Math.min(1000 * 2 ** i, 30_000));
      expect(Math.max(...waits)).toBeGreaterThan(15_000);
      expect(new Set(waits).size).toBeGreaterThan(30);
    });

    test("a silent server is asked by op 9, and left where it does not answer", async () => {
      const probe = await start("speed=20", "ping=10");
      await using _ = probe;
      await probe.command("start");
      const connection = await server.welcome({ ping: 10 });
      await connection.answer(op.ping);
      await connection.next(op.ping);
      expect(await probe.next("disconnected")).toMatchObject({ code: 1006 });
      await within(connection.closed, "the end of the connection");
    });

    test("it leaves with code 1000 once what it has is sent", async () => {
      const { probe, connection } = await subscribed();
      await using _ = probe;
      await probe.command("send t 07");
      await probe.command("stop");
      expect((await connection.next(op.publish)).slice(1)).toEqual([0, "t", 7]);
      expect(await probe.next("stopped")).toMatchObject({ code: 1000 });
      expect(await within(connection.closed, "the end of the connection")).toBe(1000);
    });
  });
}
