/**
 * What is small on the wire and large behind it: frames and bodies beyond the bound, nesting, declared lengths, numbers without
 * end, deflated zeros. Each is refused before it costs anything; with the defence off it gets through, or costs what it claims.
 */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { constants, deflateRawSync, gzipSync } from "node:zlib";
import { op } from "../../../src/wire/messages.ts";
import { frameBytes, opcode, RawSocket } from "../../harness/raw-socket.ts";
import type { WireClient } from "../../harness/wire-client.ts";
import { authorized, KiB, MiB, startVictim, type Victim } from "./victim.ts";

const here = "127.0.0.1";
/** What the process may grow by while it refuses: work takes some, what is refused would take many times as much. */
const growthMaxBytes = 48 * MiB;
const large = new Uint8Array(8 * MiB);

/** Settles when the connection is over; how much the process had grown at most by then. */
async function growth(victim: Victim, attack: () => Promise<void>): Promise<number> {
  const before = victim.memory();
  await attack();
  return victim.memory("VmHWM") - before;
}

async function over(raw: RawSocket): Promise<void> {
  await raw.until(() => raw.closed || raw.ended, "the end of the connection", 15_000);
}

/** Whether somebody else is served. */
async function isServed(client: WireClient): Promise<boolean> {
  await client.ok(op.subscribe, "n");
  client.send([op.publish, 0, "n", "still here"]);
  return (await client.payloads(1, "n"))[0] === "still here";
}

/** The beginning of a masked binary frame that claims so many bytes. */
function claim(bytes: number): Buffer {
  const head = Buffer.alloc(14);
  head[0] = 0x80 | opcode.binary;
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(bytes), 2);
  return head;
}

describe("a frame beyond the bound", () => {
  const message = encode([op.publish, 1, "a", large]);

  test("is taken where payloads have none", async () => {
    await using victim = await startVictim("--payload-max 0");
    await using raw = await RawSocket.open(victim.url, { headers: authorized });
    raw.sendFrame({ opcode: opcode.binary, payload: message });
    expect([...(await raw.next(opcode.binary)).payload]).toEqual([0x93, 16, 1, 0x80]);
  });

  test.each([
    ["in one piece", (raw: RawSocket) => raw.sendFrame({ opcode: opcode.binary, payload: message })],
    ["by what it claims, before it comes", (raw: RawSocket) => raw.send(claim(2 ** 40))],
    [
      "in pieces without end",
      (raw: RawSocket) => {
        const payload = new Uint8Array(64 * KiB);
        raw.sendFrame({ opcode: opcode.binary, payload, fin: false });
        for (let i = 0; i < 512; i++) raw.sendFrame({ opcode: opcode.continuation, payload, fin: false });
      },
    ],
  ])("%s ends its sender, is counted and named, and takes no memory", async (_, send) => {
    await using victim = await startVictim();
    await using other = await victim.connect();
    await using raw = await RawSocket.open(victim.url, { headers: authorized });
    const grown = await growth(victim, async () => {
      send(raw);
      await over(raw);
    });
    expect(grown).toBeLessThan(growthMaxBytes);
    expect(await isServed(other)).toBe(true);
    expect(await victim.metric('tagcast_frames_refused_total{reason="too-large"}')).toBe(1);
    expect(await victim.told("connection ended by a frame that is not allowed")).toMatchObject({
      reason: "too-large",
      from: here,
    });
  });
});

describe("a body beyond the bound", () => {
  const head = (length: string) =>
    `POST /v1/publish?tag=a HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorized.Authorization}\r\n` +
    `Content-Type: application/octet-stream\r\n${length}\r\n\r\n`;
  const chunk = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(0x10000), Buffer.from("\r\n")]);
  const sendChunks = (raw: RawSocket, count: number) => {
    raw.send(head("Transfer-Encoding: chunked"));
    for (let i = 0; i < count; i++) raw.send(chunk);
    raw.send("0\r\n\r\n");
  };
  const answer = async (raw: RawSocket) => {
    await raw.until(() => raw.response.includes("\r\n\r\n") || raw.closed, "an answer", 15_000);
    return raw.response.slice(0, 12);
  };

  test("is taken where payloads have none", async () => {
    await using victim = await startVictim("--payload-max 0");
    await using raw = await RawSocket.connect(victim.url);
    sendChunks(raw, 128);
    expect(await answer(raw)).toBe("HTTP/1.1 200");
  });

  test("is refused by what it claims, and by what comes where it claims nothing; counted and named", async () => {
    await using victim = await startVictim();
    const grown = await growth(victim, async () => {
      await using claiming = await RawSocket.connect(victim.url);
      claiming.send(head(`Content-Length: ${10 * 1024 ** 3}`));
      expect(await answer(claiming)).toBe("HTTP/1.1 413");
      await using endless = await RawSocket.connect(victim.url);
      sendChunks(endless, 2000);
      expect(await answer(endless)).toBe("HTTP/1.1 413");
    });
    expect(grown).toBeLessThan(growthMaxBytes);
    expect(await victim.metric('tagcast_bodies_refused_total{reason="large"}')).toBe(2);
    expect(await victim.told("body refused")).toMatchObject({ reason: "large", from: here });
  });

  test("takes no memory either where nobody wants a body, or before anybody is known", async () => {
    await using victim = await startVictim();
    const grown = await growth(victim, async () => {
      for (const path of ["/healthz", "/v1/publish", "/nowhere", "/events", "/ws"]) {
        await using raw = await RawSocket.connect(victim.url);
        raw.send(`POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
        for (let i = 0; i < 1000; i++) raw.send(chunk);
        expect(["HTTP/1.1 401", "HTTP/1.1 404", "HTTP/1.1 405", "HTTP/1.1 426"]).toContain(await answer(raw));
      }
    });
    expect(grown).toBeLessThan(growthMaxBytes);
  });

  test("is refused with many others together, where each alone would be let in", async () => {
    const send = async (victim: Victim) => {
      const uploads = await Promise.all(Array.from({ length: 12 }, () => RawSocket.connect(victim.url)));
      for (const raw of uploads) {
        raw.send(head("Content-Length: 1000000"));
        raw.send(new Uint8Array(900_000));
      }
      return uploads;
    };
    {
      await using victim = await startVictim("--bodies-max 0");
      const uploads = await send(victim);
      await victim.until("tagcast_body_bytes", (bytes) => bytes === 12 * 900_000);
      for (const raw of uploads) await raw[Symbol.asyncDispose]();
    }
    await using victim = await startVictim("--bodies-max 4MiB");
    const uploads = await send(victim);
    const refused = await victim.until('tagcast_bodies_refused_total{reason="full"}', (count) => count >= 8);
    expect(await victim.metric("tagcast_body_bytes")).toBeLessThanOrEqual(4 * MiB);
    expect(uploads.filter((raw) => raw.response.startsWith("HTTP/1.1 429"))).toHaveLength(refused);
    for (const raw of uploads) await raw[Symbol.asyncDispose]();
    await victim.until("tagcast_body_bytes", (bytes) => bytes === 0);
  });
});

describe("nesting beyond the bound", () => {
  const levels = 300;
  const nested = new Uint8Array(levels).fill(0x91).with(levels - 1, 0x90);
  const binary = Buffer.concat([Uint8Array.of(0x94, op.publish, 1, 0xa1, 0x61), nested]);
  const brackets = `[4,1,"a",${"[".repeat(levels)}${"]".repeat(levels)}]`;
  const forms = `[4,1,"a",${'{"$map":[['.repeat(levels)}1,1${"]]}".repeat(levels)}]`;
  const attacks: readonly (readonly [string, "msgpack" | "json", Uint8Array<ArrayBuffer> | string])[] = [
    ["in MessagePack", "msgpack", binary],
    ["in JSON", "json", brackets],
    ["by the forms of what JSON lacks", "json", forms],
  ];

  test.each(attacks.slice(0, 2))("%s is published where there is none", async (_, lane, frame) => {
    await using victim = await startVictim("--depth-max 0");
    await using client = await victim.connect({ lane });
    client.sendFrame(frame);
    expect(await client.next(op.ok)).toEqual([op.ok, 1, {}]);
  });

  test.each(attacks)("%s ends its sender, is counted and named", async (_, lane, frame) => {
    await using victim = await startVictim();
    await using other = await victim.connect();
    await using client = await victim.connect({ lane });
    client.sendFrame(frame);
    expect((await client.ended()).code).toBe(3501);
    expect(await victim.metric('tagcast_errors_total{error="too-deep"}')).toBe(1);
    expect(await victim.told("session ended")).toMatchObject({ reason: "malformed", from: here });
    expect(await isServed(other)).toBe(true);
  });
});

describe("a length that is only claimed", () => {
  /** An array of 100 million elements, in five bytes. */
  const array = Uint8Array.of(0xdd, 0x05, 0xf5, 0xe1, 0x00);

  test("makes a decoder without bounds take hundreds of megabytes", async () => {
    const script = `import { decode } from "@msgpack/msgpack"; import { readFileSync } from "node:fs";
      try { decode(Uint8Array.of(${array.join()})); } catch {}
      console.log(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", cwd: `${import.meta.dir}/../../..` });
    expect(Number(await child.stdout.text()) * KiB).toBeGreaterThan(400 * MiB);
  });

  test.each([
    ["by a message", array],
    ["by a payload", Buffer.concat([Uint8Array.of(0x94, op.publish, 1, 0xa1, 0x61), array])],
    ["by options", Buffer.concat([Uint8Array.of(0x93, op.connect, 1), Uint8Array.of(0xdf, 0x05, 0xf5, 0xe1, 0x00)])],
    ["by a text", Uint8Array.of(0x93, op.subscribe, 1, 0xdb, 0xff, 0xff, 0xff, 0xff)],
  ])("%s takes nothing", async (_, frame) => {
    await using victim = await startVictim();
    await using other = await victim.connect();
    const grown = await growth(victim, async () => {
      for (let i = 0; i < 20; i++) {
        await using client = await victim.connect();
        client.sendFrame(frame);
        expect((await client.next(op.error))[2]).toBe(102);
      }
    });
    expect(grown).toBeLessThan(growthMaxBytes);
    expect(await victim.metric('tagcast_errors_total{error="malformed"}')).toBe(20);
    expect(await isServed(other)).toBe(true);
  });
});

test("numbers without end, and keys without number, in JSON cost their text and no more", async () => {
  await using victim = await startVictim();
  await using other = await victim.connect();
  await using client = await victim.connect({ lane: "json" });
  const digits = "9".repeat(900_000);
  const keys = Array.from({ length: 60_000 }, (_, i) => `"k${i}":0`).join();
  const sent = [digits, `-${digits}.5`, `1e${digits.slice(0, 300)}`, `{"$int":"${digits}"}`, `{${keys}}`];
  const grown = await growth(victim, async () => {
    for (const payload of sent) {
      client.sendFrame(`[4,9,"a",${payload}]`);
      expect([op.ok, op.error]).toContain((await client.answer(9))[0] as never);
    }
  });
  expect(grown).toBeLessThan(2 * growthMaxBytes);
  expect(await isServed(other)).toBe(true);
});

describe("deflated zeros", () => {
  const offer = { ...authorized, "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" };
  const compressed = 0x40;
  const deflate = (bytes: Uint8Array) => deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  /** 128 MiB in some 130 KiB, the whole a valid message. */
  const size = 128 * MiB;
  const bomb = () => {
    const head = Buffer.from([0x94, op.publish, 1, 0xa1, 0x61, 0xc6, 0, 0, 0, 0]);
    head.writeUInt32BE(size, 6);
    return frameBytes({
      opcode: opcode.binary | compressed,
      payload: deflate(Buffer.concat([head, Buffer.alloc(size)])),
    });
  };

  test("are not even understood, unless compression is turned on", async () => {
    await using victim = await startVictim();
    await using raw = await RawSocket.open(victim.url, { headers: offer });
    expect(raw.response.toLowerCase()).not.toContain("sec-websocket-extensions");
    raw.send(bomb());
    await over(raw);
  });

  test("become what they stand for where payloads have no bound", async () => {
    await using victim = await startVictim("--compression --payload-max 0");
    await using raw = await RawSocket.open(victim.url, { headers: offer });
    const grown = await growth(victim, async () => {
      raw.send(bomb());
      await raw.next(opcode.binary, 15_000);
    });
    expect(grown).toBeGreaterThan(100 * MiB);
  });

  test("end their sender at the bound of what they inflate to, counted and named", async () => {
    await using victim = await startVictim("--compression");
    await using other = await victim.connect();
    await using raw = await RawSocket.open(victim.url, { headers: offer });
    const grown = await growth(victim, async () => {
      raw.send(bomb());
      await over(raw);
    });
    expect(grown).toBeLessThan(growthMaxBytes);
    expect(await victim.metric('tagcast_frames_refused_total{reason="too-large"}')).toBe(1);
    expect(await victim.told("connection ended by a frame that is not allowed")).toMatchObject({ from: here });
    expect(await isServed(other)).toBe(true);
  });

  describe("in many frames behind requests that take their time", () => {
    /** A frame of 2 MiB in 2 KiB, 400 times, behind 400 subscriptions: nothing is looked at while these are worked off. */
    const sendAll = (raw: RawSocket) => {
      const asked = Array.from({ length: 400 }, (_, i) => encode([op.subscribe, i + 1, `x/${i}/#`]));
      const message = encode([op.publish, 0, "a", new Uint8Array(1000 * KiB)]);
      const frame = frameBytes({
        opcode: opcode.binary | compressed,
        payload: deflate(Buffer.concat([message, message])),
      });
      const first = frameBytes({ opcode: opcode.binary, payload: Buffer.concat(asked) });
      raw.send(Buffer.concat([first, ...Array.from({ length: 400 }, () => frame)]));
    };

    test("are kept, whatever they take, where that has no bound", async () => {
      await using victim = await startVictim("--compression --held-max 0");
      await using raw = await RawSocket.open(victim.url, { headers: offer });
      sendAll(raw);
      await victim.until("tagcast_published_messages_total", (count) => count === 800);
      expect([raw.closed, raw.ended]).toEqual([false, false]);
    });

    test("end their sender at the bound, counted and named", async () => {
      await using victim = await startVictim("--compression");
      await using raw = await RawSocket.open(victim.url, { headers: offer });
      const grown = await growth(victim, async () => {
        sendAll(raw);
        await over(raw);
      });
      expect(grown).toBeLessThan(128 * MiB);
      expect(await victim.metric('tagcast_connections_ended_total{reason="overloaded"}')).toBe(1);
      expect(await victim.told("session ended")).toMatchObject({ reason: "overloaded", from: here });
      expect(await victim.metric("tagcast_held_bytes")).toBe(0);
    });
  });

  test("in bodies are refused, packed or not, since none is unpacked", async () => {
    await using victim = await startVictim();
    const packed = gzipSync(Buffer.alloc(64 * MiB));
    const grown = await growth(victim, async () => {
      const response = await fetch(`${victim.http}/v1/publish?tag=a`, {
        method: "POST",
        headers: { ...authorized, "content-type": "application/octet-stream", "content-encoding": "gzip" },
        body: packed,
      });
      expect([response.status, response.headers.get("accept-encoding")]).toEqual([415, "identity"]);
    });
    expect(grown).toBeLessThan(growthMaxBytes);
    expect(await victim.metric('tagcast_bodies_refused_total{reason="encoded"}')).toBe(1);
    expect(await victim.told("body refused")).toMatchObject({ reason: "encoded", from: here });
  });
});
