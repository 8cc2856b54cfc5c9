/**
 * `Last-Event-ID`: refused, or the positions that an id written from them names again.
 * Input: patterns, a line each, an empty line, and what the id is the base64 of.
 */
import { ProtocolError } from "../../../src/core/errors.ts";
import type { Position } from "../../../src/core/position.ts";
import { hasWildcard, isPattern } from "../../../src/core/tag.ts";
import { type Continuation, eventIdLimits, readEventId, StreamPositions } from "../../../src/gateway/event-ids.ts";
import { namedPatterns } from "../../../src/gateway/upgrade.ts";
import type { Target } from "../engine.ts";
import { placeOf } from "../place.ts";

const namesMax = 10;
const base64 = { alphabet: "base64url", omitPadding: true } as const;

function idOf(entries: readonly (readonly [pattern: string, tags: readonly (readonly [string, number, number])[]])[]) {
  const stream = new StreamPositions(entries.map(([pattern]) => pattern));
  for (const [pattern, tags] of entries) {
    for (const [tag, epoch, offset] of tags) stream.of(pattern).set(tag, epoch, offset);
  }
  const names = entries.map(([pattern]) => pattern).join("\n");
  return Buffer.concat([Buffer.from(`${names}\n\n`), Uint8Array.fromBase64(stream.id(), { alphabet: "base64url" })]);
}

export const eventIdTarget: Target = {
  name: "event-id",
  bytesMax: 6000,
  words: ["#", "+", "a/#", "\n", Uint8Array.of(0xc0), Uint8Array.of(0x93, 0xa0, 1, 1), Uint8Array.of(0xdc, 0, 3)],
  seeds: () => [
    idOf([["a", [["a", 1, 0]]]]),
    idOf([
      [
        "a/#",
        [
          ["a", 7, 3],
          ["a/b", 0xffff_ffff, Number.MAX_SAFE_INTEGER],
        ],
      ],
      ["b", []],
    ]),
    idOf([
      ["+/x", [["ü/x", 1, 300]]],
      ["#", []],
    ]),
    idOf([["b/+", Array.from({ length: 65 }, (_, i) => [`b/${i}`, 1, i] as const)]]),
    idOf([["a/+", Array.from({ length: 64 }, (_, i) => [`a/${i}`, i + 1, i] as const)]]),
  ],
  open: () => ({ run }),
};

/** The id as text, as base64, and as that of a stream of these patterns, since few changes would get past the checksum. */
function run(input: Uint8Array): string {
  const end = Buffer.from(input.buffer, input.byteOffset, input.length).indexOf("\n\n");
  const [head, tail] = end < 0 ? [input, input] : [input.subarray(0, end), input.subarray(end + 2)];
  const names = Buffer.from(head).toString("utf8").split("\n", namesMax);
  // As the query of a request has them.
  const url = `http://x/events?tags=${names.map((name) => encodeURIComponent(name)).join(",")}`;
  const patterns = [...new Set(namedPatterns(new Headers(), url))].filter(isPattern);
  const ids = [Buffer.from(tail).toString("latin1"), tail.toBase64(base64), withChecksum(tail, patterns)];
  return ids.map((id) => read(id, patterns)).join(" ");
}

function withChecksum(bytes: Uint8Array, patterns: readonly string[]): string {
  const sorted = patterns.toSorted((a, b) => (a < b ? -1 : 1));
  const head = Buffer.alloc(7);
  head.set([bytes[0] ?? 0, 1, 0xce]);
  head.writeUInt32BE(Bun.hash.crc32(sorted.join("\n")), 3);
  return Buffer.concat([head, bytes.subarray(7)]).toBase64(base64);
}

function read(id: string, patterns: readonly string[]): string {
  let found: Continuation;
  try {
    found = readEventId(id, patterns);
  } catch (error) {
    if (error instanceof ProtocolError) return placeOf(error);
    throw error;
  }
  const stream = new StreamPositions(patterns);
  for (const [pattern, since] of found) {
    const positions = stream.of(pattern);
    const tags = hasWildcard(pattern)
      ? (since as ReadonlyMap<string, Position>)
      : new Map([[pattern, since as Position]]);
    for (const [tag, { epoch, offset }] of tags) positions.set(tag, epoch, offset);
  }
  const again = readEventId(stream.id(), patterns);
  // A pattern of which nothing is known is not there again.
  const tags = [...found.values()].reduce((sum, since) => sum + (since instanceof Map ? since.size : 1), 0);
  if (tags > eventIdLimits.tagsMax) throw new Error(`${tags} tags are accepted`);
  const known = (map: Continuation) =>
    new Map([...map].filter(([, since]) => !(since instanceof Map && since.size === 0)));
  if (!Bun.deepEquals(known(found), known(again))) throw new Error(`Means something else when written again: ${id}`);
  return `ok ${patterns.length} ${[...found.values()].map((since) => (since instanceof Map ? since.size : "p")).join()}`;
}
