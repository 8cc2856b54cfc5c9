/**
 * A client with every right tries to fill the server's memory, by each thing that clients can make grow. At its bound each
 * refuses, forgets or drops, says so and counts it, and others are served; with the bound off it grows on.
 */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { op } from "../../../src/wire/messages.ts";
import { opcode, RawSocket } from "../../harness/raw-socket.ts";
import { Refused, type WireClient } from "../../harness/wire-client.ts";
import { authorized, KiB, MiB, startVictim, type Victim } from "./victim.ts";

const here = "127.0.0.1";
const rules = `
[[tags]]
pattern = "log/#"
history = { size = 1000 }
[[tags]]
pattern = "room/#"
presence = true
[[tags]]
pattern = "state/#"
history = { size = 1 }
delivery = "latest"
`;
const limitExceeded = 106;

/** Subscribes until it is refused, at most so often; how often it was not. */
async function subscribeAll(client: WireClient, patterns: readonly string[]): Promise<number> {
  let taken = 0;
  for (const pattern of patterns) {
    try {
      await client.ok(op.subscribe, pattern);
      taken++;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      expect(error.code).toBe(limitExceeded);
    }
  }
  return taken;
}

function numbered<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}
/** Patterns that all match one tag of so many levels, as many as there are ways to put a wildcard for a level. */
const overlapping = (count: number, levels = 10) =>
  numbered(count, (k) => numbered(levels, (i) => ((k >> i) & 1 ? "+" : `l${i}`)).join("/"));
const overlapped = numbered(10, (i) => `l${i}`).join("/");

describe.each([
  {
    what: "subscriptions of a connection",
    flag: "subscriptions-max",
    bound: 5,
    patterns: numbered(40, (i) => `a/${i}`),
    gauge: "tagcast_subscriptions",
    othersToo: false,
  },
  {
    what: "subscriptions of all",
    flag: "subscriptions-total-max",
    bound: 6,
    patterns: numbered(40, (i) => `a/${i}`),
    gauge: "tagcast_subscriptions",
    othersToo: true,
  },
  {
    what: "levels of patterns with wildcards",
    flag: "pattern-levels-max",
    bound: 64,
    patterns: numbered(40, (i) => `${i}/b/c/d/e/f/#`),
    gauge: "tagcast_pattern_levels",
    othersToo: true,
  },
  {
    what: "members of tags with presence",
    flag: "presence-members-max",
    bound: 7,
    patterns: numbered(40, (i) => `room/${i}`),
    gauge: "tagcast_presence_members",
    othersToo: true,
  },
])("$what", ({ flag, bound, patterns, gauge, othersToo }) => {
  test("grow where they have no bound", async () => {
    await using victim = await startVictim(`--${flag} 0`, rules);
    await using client = await victim.connect();
    expect(await subscribeAll(client, patterns)).toBe(patterns.length);
    expect(await victim.metric(gauge)).toBeGreaterThan(bound);
  });

  test("are refused beyond their bound, until some are given back; what there is goes on", async () => {
    await using victim = await startVictim(`--${flag} ${bound}`, rules);
    await using client = await victim.connect();
    await using other = await victim.connect();
    const taken = await subscribeAll(client, patterns);
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(patterns.length);
    expect(await victim.metric(gauge)).toBeLessThanOrEqual(bound);
    expect(await victim.metric('tagcast_errors_total{error="limit-exceeded"}')).toBe(patterns.length - taken);
    const [first = ""] = patterns;
    client.send([op.publish, 0, first.replace("#", "x"), "for those who were there"]);
    await client.messages(1);
    expect(await subscribeAll(other, patterns.slice(-1))).toBe(othersToo ? 0 : 1);
    await client.ok(op.unsubscribe, first);
    expect(await subscribeAll(client, patterns.slice(-1))).toBe(1);
  });
});

describe("what is remembered of tags", () => {
  const tags = numbered(400, (i) => `t/${i}`);
  const patterns = ["t/+", "t/#", "+/+", "#", "+/#"];
  const publishAll = async (client: WireClient) => {
    for (const tag of tags) client.send([op.publish, 0, tag, 1]);
    await client.ok(op.ping);
  };

  test("grows with every tag where it has no bound", async () => {
    await using victim = await startVictim("--tags-max 0 --matches-max 0");
    await using client = await victim.connect();
    await subscribeAll(client, patterns);
    await publishAll(client);
    expect(await victim.metric("tagcast_tags")).toBe(tags.length);
    expect(await victim.metric("tagcast_matches")).toBe(tags.length * patterns.length);
  });

  test("is forgotten beyond its bound, and found again: nothing is lost", async () => {
    await using victim = await startVictim("--tags-max 64 --matches-max 1000");
    await using client = await victim.connect();
    await subscribeAll(client, patterns);
    for (const round of [1, 2]) {
      await publishAll(client);
      // Those of topics are not counted.
      expect(await victim.metric("tagcast_tags")).toBeLessThanOrEqual(64 + patterns.length);
      expect(await victim.metric("tagcast_matches")).toBeLessThanOrEqual((64 + patterns.length) * patterns.length);
      await client.messages(round * tags.length * patterns.length);
    }
  });

  test("is forgotten by what matches them, where that is more", async () => {
    await using victim = await startVictim("--matches-max 1000");
    await using client = await victim.connect();
    await subscribeAll(client, patterns);
    await publishAll(client);
    expect(await victim.metric("tagcast_tags")).toBe(tags.length);
    expect(await victim.metric("tagcast_matches")).toBeLessThanOrEqual(1000);
    await client.messages(tags.length * patterns.length);
  });
});

describe("logs and ids of publishes", () => {
  const fill = async (victim: Victim) => {
    await using client = await victim.connect();
    for (let i = 0; i < 400; i++) {
      client.send([op.publish, 0, `log/${i % 100}`, new Uint8Array(16 * KiB), { id: `${i}` }]);
    }
    await client.ok(op.ping);
    await client.ok(op.history, "log/99");
  };

  test("grow with what is published where they have no bound", async () => {
    await using victim = await startVictim("--logs-max 0 --logs-bytes-max 0 --idempotency-keys-max 0", rules);
    await fill(victim);
    expect(await victim.metric("tagcast_logs")).toBe(100);
    expect(await victim.metric("tagcast_log_bytes")).toBeGreaterThan(400 * 16 * KiB);
    expect(await victim.metric("tagcast_idempotency_keys")).toBe(400);
  });

  test("lose their oldest beyond their bound; a reader is told", async () => {
    await using victim = await startVictim("--logs-max 50 --logs-bytes-max 1MiB --idempotency-keys-max 100", rules);
    await using reader = await victim.connect();
    const { position } = await reader.ok(op.subscribe, "log/0");
    await reader.ok(op.unsubscribe, "log/0");
    await fill(victim);
    expect(await victim.metric("tagcast_logs")).toBe(50);
    expect(await victim.metric("tagcast_log_bytes")).toBeLessThanOrEqual(MiB);
    expect(await victim.metric("tagcast_idempotency_keys")).toBe(100);
    expect(await victim.metric("tagcast_idempotency_keys_forgotten_total")).toBeGreaterThanOrEqual(200);
    expect(await reader.ok(op.subscribe, "log/0", { since: position })).toMatchObject({ recovered: false });
  });
});

describe("messages that a thousand patterns of one client match", () => {
  const attack = async (victim: Victim, messages: number) => {
    await using client = await victim.connect();
    expect(await subscribeAll(client, overlapping(600))).toBe(600);
    const before = victim.memory();
    const one = encode([op.publish, 0, overlapped, new Uint8Array(1000 * KiB)]);
    for (let i = 0; i < messages; i++) client.sendFrame(one);
    await victim.until("tagcast_published_messages_total", (count) => count >= 1);
    await client.ok(op.ping).catch(() => {});
    return victim.memory("VmHWM") - before;
  };

  test("are all kept until they can be sent, where that has no bound", async () => {
    await using victim = await startVictim("--backlog-max 0");
    expect(await attack(victim, 1)).toBeGreaterThan(400 * MiB);
  }, 30_000);

  test("are dropped beyond it: told by a gap, counted, the publisher held back and named; others lose nothing", async () => {
    await using victim = await startVictim();
    await using other = await victim.connect();
    await other.ok(op.subscribe, "n");
    await using reader = await RawSocket.open(victim.url, {
      path: `/ws?tags=${encodeURIComponent(overlapped)}`,
      headers: authorized,
    });
    expect(await attack(victim, 4)).toBeLessThan(300 * MiB);
    expect(await victim.metric("tagcast_dropped_frames_total")).toBeGreaterThan(100);
    expect(await victim.metric('tagcast_gaps_total{reason="overloaded"}')).toBeGreaterThan(100);
    expect(await victim.metric("tagcast_publishers_held_back_total")).toBeGreaterThan(0);
    expect(await victim.told("publisher held back: more is published than can be sent")).toMatchObject({ from: here });
    await victim.until("tagcast_backlog_bytes", (bytes) => bytes === 0);
    other.send([op.publish, 0, "n", "still here"]);
    expect(await other.payloads(1, "n")).toEqual(["still here"]);
    expect(reader.closed).toBe(false);
  }, 30_000);

  test("in one frame are worked off in turns: others are served meanwhile", async () => {
    await using victim = await startVictim();
    await using other = await victim.connect();
    await using raw = await RawSocket.open(victim.url, { headers: authorized });
    const asked = overlapping(600).map((pattern) => encode([op.subscribe, 0, pattern]));
    raw.sendFrame({ opcode: opcode.binary, payload: Buffer.concat(asked) });
    await victim.until("tagcast_subscriptions", (count) => count === 600);
    // What it would read costs this process more than it costs the server.
    raw.read(false);
    const before = victim.memory();
    const tiny = encode([op.publish, 0, overlapped, 1]);
    const frame = Buffer.concat(Array.from({ length: 20_000 }, () => tiny));
    raw.sendFrame({ opcode: opcode.binary, payload: frame });
    await victim.until("tagcast_published_messages_total", (count) => count > 0);
    for (let i = 0; i < 10; i++) await other.ok(op.ping);
    expect(await victim.metric("tagcast_published_messages_total")).toBeLessThan(20_000);
    expect(victim.memory("VmHWM") - before).toBeLessThan(200 * MiB);
  }, 30_000);
});

describe("the newest messages of many tags, kept for one who does not read", () => {
  const attack = async (victim: Victim) => {
    const slow = await RawSocket.open(victim.url, {
      path: `/ws?tags=${encodeURIComponent("state/#")}`,
      headers: authorized,
    });
    slow.read(false);
    await using publisher = await victim.connect();
    const payload = new Uint8Array(64 * KiB);
    for (let i = 0; i < 1200; i++) {
      publisher.send([op.publish, 0, `state/${i}`, payload]);
      if (i % 16 === 0) await publisher.ok(op.ping);
    }
    await publisher.ok(op.ping);
    return slow;
  };

  test("are all kept where that has no bound, beside what the logs hold", async () => {
    await using victim = await startVictim("--unread-max 0 --slow-deadline 0 --logs-bytes-max 8MiB", rules);
    await using slow = await attack(victim);
    expect(slow.closed).toBe(false);
    expect(await victim.until("tagcast_unread_bytes", (bytes) => bytes > 24 * MiB)).toBeGreaterThan(24 * MiB);
    expect(await victim.metric("tagcast_log_bytes")).toBeLessThanOrEqual(8 * MiB);
  });

  test("end who does not read beyond it, counted and named", async () => {
    await using victim = await startVictim("--unread-max 16MiB --slow-deadline 0 --logs-bytes-max 8MiB", rules);
    await using slow = await attack(victim);
    expect(slow.closed).toBe(false);
    await victim.until("tagcast_unread_disconnects_total", (count) => count === 1);
    expect(await victim.told("too much is unread: a slow client is ended")).toMatchObject({ from: here });
    await victim.until("tagcast_unread_bytes", (bytes) => bytes === 0);
  });
});

/**
 * What the process may take under the limits that hold by default, whatever eight clients with every right do, as fast as the
 * machine carries it: some half of it is what the collector has not taken back yet of hundreds of megabytes a second.
 */
const peakMaxBytes = 2048 * MiB;
const clients = 8;
const secondsPerOp = 1.5;

/** What one client does again and again, with a number that no other call has. */
const attacks: Readonly<Record<string, (client: WireClient, i: number) => void>> = {
  "subscribes to patterns of many levels": (client, i) =>
    client.send([op.subscribe, 0, `${i}/${"+/".repeat(60)}#`], [op.unsubscribe, 0, `${i - 1000}/${"+/".repeat(60)}#`]),
  "subscribes to long tags": (client, i) => client.send([op.subscribe, 0, `${i}${"x".repeat(240)}`]),
  "subscribes with positions of tags that are not there": (client, i) => {
    const since = Object.fromEntries(numbered(200, (k) => [`log/${i}/${k}`, [1, 1] as const]));
    client.send([op.subscribe, 0, `log/${i}/+`, { since }], [op.unsubscribe, 0, `log/${i}/+`]);
  },
  "joins tags with presence": (client, i) =>
    client.send([op.subscribe, 0, `room/${i}`, { info: "x".repeat(200), presence: true }]),
  "publishes to ever new tags": (client, i) =>
    client.send(...numbered(16, (k) => [op.publish, 0, `${i}/${k}/${"x".repeat(200)}`, 1])),
  "publishes to ever new logs, with ids": (client, i) =>
    client.send(...numbered(16, (k) => [op.publish, 0, `log/${i}/${k}`, "x".repeat(500), { id: `${i}.${k}` }])),
  "publishes much to one log": (client) => client.send([op.publish, 0, "log/one", new Uint8Array(256 * KiB)]),
  "reads logs that it does not wait for": (client, i) =>
    client.send(...numbered(16, (k) => [op.history, i * 16 + k, "log/one", { limit: 1000 }])),
  "asks for members": (client, i) => client.send([op.presence, i, `room/${i}`]),
  "publishes to replies that nobody awaits": (client, i) =>
    client.send([op.publish, 0, `$reply/${i.toString(16).padStart(32, "0")}/x`, "y", { reply: `r/${i}` }]),
  "gets everything wrong": (client, i) => client.send([op.unsubscribe, i, `${i}`], [99, i], [op.publish, i, "a/#", 1]),
};

test("eight clients that do their worst by every op, one after the other, leave the process below its bound", async () => {
  await using victim = await startVictim("--log-level warn", rules);
  await using healthy = await victim.connect();
  await healthy.ok(op.subscribe, "healthy");
  let sent = 0;
  for (const attack of Object.values(attacks)) {
    const attackers = await Promise.all(numbered(clients, () => "").map(() => victim.connect()));
    const end = performance.now() + secondsPerOp * 1000;
    for (let i = 0; performance.now() < end; i++) {
      for (const [k, client] of attackers.entries())
        if (client.socket.bufferedAmount < MiB) attack(client, i * clients + k + 1000);
      if (i % 8 === 0) await Bun.sleep(0);
    }
    healthy.send([op.publish, 0, "healthy", ++sent]);
    await healthy.messages(sent, "healthy", 15_000);
    for (const client of attackers) client.received.length = 0;
    await Promise.all(attackers.map((client) => client[Symbol.asyncDispose]()));
  }
  expect(await healthy.payloads(sent, "healthy")).toEqual(numbered(sent, (i) => i + 1));
  expect(victim.memory("VmHWM")).toBeLessThan(peakMaxBytes);
  await victim.until("tagcast_subscriptions", (count) => count === 1);
}, 90_000);
