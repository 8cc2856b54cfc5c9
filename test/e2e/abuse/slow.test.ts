/**
 * Clients that take their time: that present no token, read nothing or a byte a second, send a body byte by byte, or are gone
 * without a word. Each is ended, counted and named; with the defence off each stays for as long as it likes.
 */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { op } from "../../../src/wire/messages.ts";
import { Proxy } from "../../harness/proxy.ts";
import { opcode, RawSocket } from "../../harness/raw-socket.ts";
import { authorized, KiB, MiB, nothingFor, startVictim, type Victim } from "./victim.ts";

/** Deadlines are set to less, so that within this time a defence that is on has acted. */
const longMs = 2500;
const here = "127.0.0.1";
const payload = new Uint8Array(64 * KiB);

const ended = (victim: Victim, reason: string) => victim.metric(`tagcast_connections_ended_total{reason="${reason}"}`);
const untilEnded = (victim: Victim, reason: string) =>
  victim.until(`tagcast_connections_ended_total{reason="${reason}"}`, (count) => count > 0);

/** Publishes so much that neither the kernel nor the proxy can hold it for somebody who does not read. */
async function flood(victim: Victim, tag: string, bytes = 24 * MiB): Promise<void> {
  await using publisher = await victim.connect();
  for (let sent = 0; sent < bytes; sent += payload.length) {
    publisher.send([op.publish, 0, tag, payload]);
    if (sent % MiB === 0) await publisher.ok(op.ping);
  }
  await publisher.ok(op.ping);
}

/** Publishes until the one who reads too slowly is ended: kernels hold up to tens of MiB for somebody who reads a little. */
async function floodUntilEnded(victim: Victim, tag: string): Promise<void> {
  for (let sent = 0; sent < 256 * MiB; sent += 4 * MiB) {
    await flood(victim, tag, 4 * MiB);
    if ((await ended(victim, "slow")) > 0) return;
  }
  throw new Error("A client that reads a byte a second was not ended");
}

describe("a connection that presents no token", () => {
  test("stays as long as it likes where there is no deadline", async () => {
    await using victim = await startVictim("--authentication-deadline 0");
    await using raw = await RawSocket.open(victim.url);
    await nothingFor(longMs);
    raw.sendFrame({ opcode: opcode.binary, payload: encode([op.ping, 7]) });
    expect([...(await raw.next(opcode.binary)).payload]).toEqual([0x93, 16, 7, 0x80]);
    expect(await ended(victim, "authentication-deadline")).toBe(0);
  });

  test("is ended at the deadline, whatever it sends meanwhile", async () => {
    await using victim = await startVictim("--authentication-deadline 500ms");
    await using mute = await RawSocket.open(victim.url);
    await using busy = await RawSocket.open(victim.url);
    const drip = setInterval(() => busy.sendFrame({ opcode: opcode.binary, payload: encode([op.ping, 1]) }), 100);
    try {
      for (const raw of [mute, busy]) expect((await raw.next(opcode.close, 15_000)).payload.readUInt16BE()).toBe(3006);
    } finally {
      clearInterval(drip);
    }
    expect(await ended(victim, "authentication-deadline")).toBe(2);
    expect(await victim.told("session ended")).toMatchObject({ reason: "authentication-deadline", from: here });
  });
});

describe("a subscriber that does not read", () => {
  const subscribe = (victim: Victim, port?: number) =>
    RawSocket.open(port === undefined ? victim.url : `ws://${here}:${port}/ws`, {
      path: "/ws?tags=n",
      headers: authorized,
      answersPings: true,
    });

  test("stays, with what it has not read, where there is no deadline", async () => {
    await using victim = await startVictim("--slow-deadline 0");
    await using slow = await subscribe(victim);
    slow.read(false);
    await flood(victim, "n");
    await nothingFor(longMs);
    expect(await victim.metric("tagcast_slow_subscribers")).toBe(1);
    expect(await victim.until("tagcast_unread_bytes", (bytes) => bytes > MiB)).toBeGreaterThan(MiB);
    expect(await ended(victim, "slow")).toBe(0);
  });

  test("is ended at the deadline, counted and named; who reads loses nothing", async () => {
    await using victim = await startVictim("--slow-deadline 500ms");
    await using healthy = await victim.connect();
    await healthy.ok(op.subscribe, "n");
    await using slow = await subscribe(victim);
    slow.read(false);
    await flood(victim, "n");
    await untilEnded(victim, "slow");
    expect(await victim.metric("tagcast_slow_disconnects_total")).toBe(1);
    expect(await victim.told("session ended")).toMatchObject({ reason: "slow", from: here });
    await healthy.messages((24 * MiB) / payload.length, "n", 15_000);
    expect(healthy.all(op.gap)).toEqual([]);
    await victim.until("tagcast_unread_bytes", (bytes) => bytes === 0);
  });

  test("is ended as well where it reads a byte a second", async () => {
    await using victim = await startVictim("--slow-deadline 500ms");
    using proxy = new Proxy(Number(new URL(victim.url).port));
    await using slow = await subscribe(victim, proxy.port);
    proxy.slow({ bytesPerSecond: 1 });
    await floodUntilEnded(victim, "n");
    expect(slow.bytes).toBeLessThan(KiB);
  });

  test("is ended while it is still within its deadline, where too much is unread in all: those with the most first", async () => {
    await using victim = await startVictim("--slow-deadline 0 --unread-max 8MiB");
    await using healthy = await victim.connect();
    await healthy.ok(op.subscribe, "n");
    const slow = await Promise.all(Array.from({ length: 10 }, () => subscribe(victim)));
    for (const raw of slow) raw.read(false);
    await flood(victim, "n");
    const count = await victim.until("tagcast_unread_disconnects_total", (ends) => ends > 0);
    expect(count).toBeLessThan(10);
    expect(await victim.told("too much is unread: a slow client is ended")).toMatchObject({ from: here });
    await victim.until("tagcast_unread_bytes", (bytes) => bytes <= 8 * MiB);
    await healthy.messages((24 * MiB) / payload.length, "n", 15_000);
    for (const raw of slow) await raw[Symbol.asyncDispose]();
  });

  test("is not, however many they are, where nothing bounds what is unread", async () => {
    await using victim = await startVictim("--slow-deadline 0 --unread-max 0");
    const slow = await Promise.all(Array.from({ length: 10 }, () => subscribe(victim)));
    for (const raw of slow) raw.read(false);
    await flood(victim, "n");
    expect(await victim.until("tagcast_unread_bytes", (bytes) => bytes > 8 * MiB)).toBeGreaterThan(8 * MiB);
    expect(await ended(victim, "slow")).toBe(0);
    for (const raw of slow) await raw[Symbol.asyncDispose]();
  });
});

describe("an event stream that is not read", () => {
  const open = async (victim: Victim) => {
    const raw = await RawSocket.connect(victim.url);
    raw.send(`GET /events?tags=n HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorized.Authorization}\r\n\r\n`);
    await raw.until(() => raw.response.includes("subscribed"), "the stream");
    raw.read(false);
    return raw;
  };

  test("stays where there is no deadline", async () => {
    await using victim = await startVictim("--slow-deadline 0");
    await using stream = await open(victim);
    await flood(victim, "n");
    await nothingFor(longMs);
    expect([stream.ended, stream.closed]).toEqual([false, false]);
    expect(await victim.metric('tagcast_connections{application="main",transport="sse",lane="json"}')).toBe(1);
    expect(await ended(victim, "slow")).toBe(0);
  });

  test("is ended at the deadline, counted and named", async () => {
    await using victim = await startVictim("--slow-deadline 500ms");
    await using stream = await open(victim);
    expect(stream.closed).toBe(false);
    await flood(victim, "n");
    await untilEnded(victim, "slow");
    expect(await victim.told("event stream ended")).toMatchObject({ reason: "slow", from: here });
    await victim.until("tagcast_unread_bytes", (bytes) => bytes === 0);
  });
});

describe("a client that is gone without a word", () => {
  /** Its network takes everything and brings nothing back, and nobody closes anything. */
  const vanish = async (victim: Victim) => {
    const proxy = new Proxy(Number(new URL(victim.url).port));
    const raw = await RawSocket.open(`ws://${here}:${proxy.port}/ws`, { headers: authorized, answersPings: true });
    proxy.lose("up");
    proxy.lose("down");
    return { raw, proxy };
  };

  test("is still counted among the connections where nobody is pinged", async () => {
    await using victim = await startVictim("--ping-interval 0");
    const { raw, proxy } = await vanish(victim);
    await nothingFor(2 * longMs);
    expect(await victim.metric("tagcast_connections")).toBe(1);
    await raw[Symbol.asyncDispose]();
    proxy[Symbol.dispose]();
  }, 20_000);

  test("is ended after two intervals without an answer; who answers stays", async () => {
    await using victim = await startVictim("--ping-interval 1s");
    await using idle = await victim.connect();
    const { raw, proxy } = await vanish(victim);
    await untilEnded(victim, "mute");
    expect(await victim.told("session ended")).toMatchObject({ reason: "mute", from: here });
    expect(await idle.ok(op.ping)).toEqual({});
    expect(await victim.metric("tagcast_connections")).toBe(1);
    await raw[Symbol.asyncDispose]();
    proxy[Symbol.dispose]();
  });
});

describe("a body that comes a byte at a time", () => {
  /** A text of so many bytes, one every 50 ms; the answer. */
  const drip = async (victim: Victim, bytes: number) => {
    await using raw = await RawSocket.connect(victim.url);
    raw.send(
      `POST /v1/publish?tag=a HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorized.Authorization}\r\n` +
        `Content-Type: text/plain\r\nContent-Length: ${bytes}\r\n\r\n`,
    );
    let sent = 0;
    const timer = setInterval(() => {
      if (sent++ < bytes) raw.send("x");
    }, 50);
    try {
      await raw.until(() => raw.response.includes("\r\n\r\n"), "an answer", 15_000);
    } finally {
      clearInterval(timer);
    }
    return { answer: raw.response, sent };
  };
  // A body may take a second more for each 64 KiB: with this bound that is one second.
  const small = "--payload-max 1KiB";

  test("is taken to its end where there is no deadline", async () => {
    await using victim = await startVictim(`${small} --body-deadline 0`);
    const { answer, sent } = await drip(victim, 60);
    expect(answer).toStartWith("HTTP/1.1 200");
    expect(sent).toBeGreaterThanOrEqual(60);
  }, 20_000);

  test("is answered 408 at the deadline, counted and named", async () => {
    await using victim = await startVictim(`${small} --body-deadline 500ms`);
    const { answer, sent } = await drip(victim, 1000);
    expect(answer).toStartWith("HTTP/1.1 408");
    expect(sent).toBeLessThan(1000);
    expect(await victim.metric('tagcast_bodies_refused_total{reason="late"}')).toBe(1);
    expect(await victim.metric("tagcast_body_bytes")).toBe(0);
    expect(await victim.told("body refused")).toMatchObject({ reason: "late", from: here });
  }, 20_000);
});
