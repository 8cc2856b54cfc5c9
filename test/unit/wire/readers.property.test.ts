/**
 * Readers and writers under random input: valid messages of both forms agree, and any bytes at all give messages or
 * ProtocolErrors. The seed of a failing run is printed; `WIRE_SEED` repeats it.
 */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { isTag } from "../../../src/core/tag.ts";
import { ProtocolError } from "../../../src/core/errors.ts";
import { op, type ClientMessageReader } from "../../../src/wire/messages.ts";
import { payloadToJson } from "../../../src/wire/json-payload.ts";
import { loadInvalid, loadVectors } from "../../vectors/load.ts";
import { hexOf, jsonReader, msgpackReader, payloadOf, readAll, writeBoth } from "./support.ts";

const seed = Number(process.env["WIRE_SEED"] ?? Date.now() % 2 ** 31);
const messageRuns = 5000;
const randomRuns = 40_000;
const mutatedRuns = 30_000;
/** Longer vectors are left to their own tests. */
const seedBytesMax = 2000;

const uint32 = fc.nat({ max: 2 ** 32 - 1 });
const name = fc
  .string({ unit: fc.constantFrom("a", "/", "+", "#", "$", "ü", "温", "🌡"), minLength: 1, maxLength: 12 })
  .filter((text) => text !== "");
/** Any JSON value that is none of the forms that begin with `$`. */
const payload = fc.jsonValue({ maxDepth: 3 }).filter(isWritable);
const info = payload.filter((value) => payloadOf(value).length <= 256);
const epoch = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const position = fc.tuple(epoch, fc.maxSafeNat());
const optional = { requiredKeys: [] };

function isWritable(value: unknown): boolean {
  try {
    payloadOf(value);
    return true;
  } catch {
    return false;
  }
}

const clientMessage = fc.oneof(
  fc.tuple(
    fc.constant(1),
    uint32,
    fc.record(
      { token: fc.string(), client: name, echo: fc.boolean(), ping: fc.integer({ min: 10, max: 900 }) },
      optional,
    ),
  ),
  fc.tuple(
    fc.constant(2),
    uint32,
    name.filter((text) => !/[+#]/.test(text)),
    fc.record({ since: position, last: epoch, presence: fc.boolean(), info }, optional),
  ),
  fc.tuple(
    fc.constant(2),
    uint32,
    name.map((text) => `${text}/#`),
    fc.record({ since: fc.dictionary(name, position, { maxKeys: 4 }) }, optional),
  ),
  fc.tuple(fc.constantFrom(3, 6), uint32, name),
  fc.tuple(
    fc.constant(4),
    uint32,
    fc.oneof(name, fc.array(name, { minLength: 1, maxLength: 16 })),
    payload,
    fc.record(
      { id: name.filter((text) => Buffer.byteLength(text) <= 32), echo: fc.boolean(), reply: name.filter(isTag) },
      optional,
    ),
  ),
  fc.tuple(
    fc.constant(5),
    uint32,
    name,
    fc.record({ since: position, last: epoch, limit: fc.integer({ min: 1, max: 1000 }) }, optional),
  ),
  fc.tuple(fc.constant(7), uint32, fc.string()),
  fc.tuple(fc.constant(9), uint32),
);

const client = fc.string({ minLength: 1, maxLength: 8 });
const joined = fc.array(fc.tuple(client, fc.maxSafeNat(), payload), { maxLength: 3 });
const left = fc.array(fc.tuple(client, fc.maxSafeNat()), { maxLength: 3 });
const code = fc.integer({ min: 100, max: 4999 });
const offset = fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const meta = fc.record({ id: fc.string(), reply: name }, { requiredKeys: ["id"] });

const serverMessage = fc.oneof(
  fc.tuple(fc.constant(op.ok), uint32, fc.record({ position, recovered: fc.boolean() }, optional)),
  fc.tuple(fc.constant(op.error), uint32, code, fc.string()),
  fc.tuple(fc.constant(op.message), name, offset, payload),
  fc.tuple(fc.constant(op.message), name, offset, payload, meta),
  fc.tuple(fc.constant(op.message), name, fc.constant(null), payload, fc.option(meta), name),
  fc.tuple(fc.constant(op.message), name, fc.integer({ min: 1 }), payload, fc.option(meta), name, epoch),
  fc.tuple(fc.constant(op.presenceChange), name, fc.maxSafeNat(), fc.option(joined), fc.option(left), uint32),
  fc.tuple(
    fc.constant(op.gap),
    name,
    offset,
    offset,
    fc.record({ code, count: uint32, epoch }, { requiredKeys: ["code"] }),
  ),
  fc.tuple(fc.constant(op.unsubscribed), name, code, fc.string()),
  fc.tuple(fc.constant(op.disconnect), code, fc.string(), uint32),
);

describe("valid messages", () => {
  test("both readers read the same of any client message, also behind another", () => {
    fc.assert(
      fc.property(clientMessage, clientMessage, (first, second) => {
        const outcomes = readAll(msgpackReader(), Buffer.concat([encode(first), encode(second)]));
        expect(outcomes).toHaveLength(2);
        for (const outcome of outcomes) expect(outcome).toHaveProperty("message");
        expect(readAll(jsonReader(), `${JSON.stringify(first)}\n${JSON.stringify(second)}`)).toEqual(outcomes);
      }),
      { seed, numRuns: messageRuns },
    );
  });

  test("any server message converts from each form to the other", () => {
    fc.assert(
      fc.property(serverMessage, (value) => {
        const { msgpack, json } = writeBoth(value);
        expect(JSON.parse(json)).toEqual(value);
        expect(payloadToJson(msgpack)).toBe(json);
        expect(hexOf(payloadOf(JSON.parse(json)))).toBe(hexOf(msgpack));
      }),
      { seed, numRuns: messageRuns },
    );
  });
});

describe("any input", () => {
  test(`random bytes give messages or ProtocolErrors (seed ${seed})`, () => {
    const random = createRandom(seed);
    const readers = [msgpackReader(), jsonReader()] as const;
    for (let run = 0; run < randomRuns; run++) {
      const frame = randomFrame(random);
      survive(readers[0], frame);
      survive(readers[1], run % 2 === 0 ? frame.toString("latin1") : randomText(random));
    }
  });

  test(`mutated frames give messages or ProtocolErrors (seed ${seed})`, async () => {
    const random = createRandom(seed + 1);
    const vectors = [
      ...(await loadVectors("client")),
      ...(await loadVectors("payloads")),
      ...(await loadVectors("server")),
    ];
    const frames = vectors.map(({ msgpack }) => msgpack).filter(({ length }) => length < seedBytesMax);
    const texts = vectors.map(({ json }) => json).filter(({ length }) => length < seedBytesMax);
    const readers = [msgpackReader(), jsonReader()] as const;
    for (let run = 0; run < mutatedRuns; run++) {
      survive(readers[0], mutated(random, frames));
      survive(readers[1], mutatedText(random, texts));
    }
  });

  test("what is refused once is refused again in the same way", async () => {
    const random = createRandom(seed + 2);
    const frames = (await loadVectors("client")).map(({ msgpack }) => msgpack);
    const used = msgpackReader();
    for (let run = 0; run < 2000; run++) {
      const frame = mutated(random, frames);
      const first = readAll(used, frame);
      expect(readAll(used, frame)).toEqual(first);
      expect(readAll(msgpackReader(), frame)).toEqual(first);
    }
  });
});

describe("frames cut short", () => {
  test("at any byte, give the messages before the cut and one malformed message at most", async () => {
    const reader = msgpackReader();
    for (const { msgpack, name: vector } of await loadVectors("client")) {
      if (msgpack.length > seedBytesMax) continue;
      const frame = Buffer.concat([Buffer.of(0x92, 9, 5), msgpack]);
      for (let end = 3; end < frame.length; end++) {
        const outcomes = readAll(reader, frame.subarray(0, end));
        const [first, second] = outcomes as Record<string, unknown>[];
        const told = `${vector} cut at ${end}: ${JSON.stringify(outcomes)}`;
        if (first?.["message"] === undefined || outcomes.length !== (end === 3 ? 1 : 2)) throw new Error(told);
        if (second !== undefined && (second["code"] !== 102 || second["recoverable"] !== false)) throw new Error(told);
      }
    }
  });

  test("at any byte, invalid frames give no more than ProtocolErrors", async () => {
    for (const { frame } of await loadInvalid()) {
      if (frame.length > seedBytesMax) continue;
      for (let end = 0; end < frame.length; end++) {
        if (typeof frame === "string") survive(jsonReader(), frame.slice(0, end));
        else survive(msgpackReader(), frame.subarray(0, end));
      }
    }
  });
});

/** Reads to the end; fails on any other error, on an extent outside of its frame, and where there is no end. */
function survive(reader: ClientMessageReader, frame: Uint8Array | string): void {
  reader.load(frame);
  for (let count = 0; count <= frame.length; count++) {
    try {
      const message = reader.next();
      if (message === null) return;
      if (message.op === op.publish) checkExtents(message);
    } catch (error) {
      if (error instanceof ProtocolError && !reader.recoverable) return expect(reader.next()).toBeNull();
      if (!(error instanceof ProtocolError)) throw new Error(`Seed ${seed}: ${shown(frame)}`, { cause: error });
    }
  }
  throw new Error(`Seed ${seed}: no end of ${shown(frame)}`);
}

interface Extents {
  readonly frame: Uint8Array;
  readonly tagStart: number;
  readonly tagEnd: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
}

function checkExtents({ frame, tagStart, tagEnd, payloadStart, payloadEnd }: Extents): void {
  const ordered = tagStart <= tagEnd && tagEnd <= payloadStart && payloadStart < payloadEnd;
  if (!ordered || payloadEnd > frame.length || tagEnd - tagStart > 255)
    throw new Error(`Bad extents in ${shown(frame)}`);
  // What brokers keep and others render: it must be a value.
  JSON.parse(payloadToJson(frame, payloadStart, payloadEnd));
}

function shown(frame: Uint8Array | string): string {
  return typeof frame === "string" ? JSON.stringify(frame) : hexOf(frame);
}

/** Uniform integers from 0 to `below` − 1 (mulberry32). */
type Random = (below: number) => number;

function createRandom(from: number): Random {
  let state = from | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Half of the frames begin as a message would, so that the bytes behind are looked at. */
function randomFrame(random: Random): Buffer {
  const frame = Buffer.from(Array.from({ length: random(40) }, () => random(256)));
  if (random(2) === 0 || frame.length < 4) return frame;
  frame[0] = 0x92 + random(5);
  frame[1] = 1 + random(10);
  frame[2] = random(128);
  if (random(2) === 0) frame[3] = 0xa0 + random(4);
  return frame;
}

const tokens = [
  "[",
  "]",
  "{",
  "}",
  ",",
  ":",
  '"',
  '"t"',
  '"$bin":',
  "4",
  "1",
  "-",
  "e",
  "null",
  "true",
  "\\",
  "\n",
  " ",
];

function randomText(random: Random): string {
  const head = random(2) === 0 ? `[${1 + random(9)},1,"t",` : "";
  return head + Array.from({ length: random(20) }, () => tokens[random(tokens.length)] as string).join("");
}

/** One or two frames, with bytes flipped, cut out, put in, or taken from another frame. */
function mutated(random: Random, frames: readonly Buffer[]): Buffer {
  const pick = (): Buffer => frames[random(frames.length)] as Buffer;
  let frame = Buffer.from(random(4) === 0 ? Buffer.concat([pick(), pick()]) : pick());
  for (let count = 1 + random(3); count > 0; count--) {
    const at = random(frame.length);
    switch (random(4)) {
      case 0:
        if (frame.length > 0) frame[at] = random(256);
        break;
      case 1:
        frame = frame.subarray(0, at);
        break;
      case 2:
        frame = Buffer.concat([frame.subarray(0, at), Buffer.of(random(256)), frame.subarray(at)]);
        break;
      default:
        frame = Buffer.concat([frame.subarray(0, at), pick().subarray(random(20))]);
    }
  }
  return frame;
}

function mutatedText(random: Random, texts: readonly string[]): string {
  const pick = (): string => texts[random(texts.length)] as string;
  const text = pick();
  const at = random(text.length);
  switch (random(4)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + (tokens[random(tokens.length)] as string) + text.slice(at);
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + random(3));
    default:
      return `${text.slice(0, at)}${pick().slice(random(10))}\n${pick()}`;
  }
}
