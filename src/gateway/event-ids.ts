/**
 * What the `id:` of an event says: the position in every log that its stream has come to, so that `Last-Event-ID` brings
 * back what was missed. Opaque to clients; base64url of a MessagePack array:
 *
 *   [1, checksum of the patterns, … one of these for each pattern, in the order of their names:
 *      nil                               nothing to continue from
 *      [epoch, offset]                   a tag
 *      [rest, epoch, offset, …]          a pattern with wildcards: tags, without what they share with the pattern ]
 */
import { Decoder } from "@msgpack/msgpack";
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import { isEpoch, isOffset, type Position } from "../core/position.ts";
import { hasWildcard, isTag, matches, tagBytesMax } from "../core/tag.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { writeArrayHeader, writeNil, writeString, writeUint } from "../wire/encode.ts";

/** Bounds of a stream that can be continued: patterns, logs that its ids name, and characters of an id. */
export const eventIdLimits = { patternsMax: 64, tagsMax: 64, lengthMax: 4096 } as const;

const version = 1;
/** Elements of one wildcard's array for each tag. */
const fieldsPerTag = 3;
/** Ids are written one at a time. */
const writer = new ByteWriter();
const base64 = { alphabet: "base64url", omitPadding: true } as const;

/** What to continue from, by pattern: a position for a tag, a map for a pattern with wildcards. */
export type Continuation = ReadonlyMap<string, Position | ReadonlyMap<string, Position>>;

/** How far one subscription of a stream has come in each log. */
export class PatternPositions {
  readonly tags = new Map<string, { epoch: number; offset: number }>();
  readonly #stream: StreamPositions;

  constructor(stream: StreamPositions) {
    this.#stream = stream;
  }

  set(tag: string, epoch: number, offset: number): void {
    this.#stream.changed = true;
    const known = this.tags.get(tag);
    if (known === undefined) {
      this.tags.set(tag, { epoch, offset });
      this.#stream.count++;
      this.#stream.useful = true;
      return;
    }
    known.epoch = epoch;
    known.offset = offset;
  }

  /** Moves on within the epoch that is known; a tag without a position stays without. */
  move(tag: string, offset: number): void {
    const known = this.tags.get(tag);
    if (known !== undefined) this.set(tag, known.epoch, offset);
  }
}

/** How far a stream has come in all its logs. */
export class StreamPositions {
  /** Logs with a position. */
  count = 0;
  /** Whether something moved since `id` was last asked for. */
  changed = false;
  /** Whether an id helps to continue: also where a pattern has no log yet, since one may begin while nobody listens. */
  useful = false;
  readonly #patterns: readonly string[];
  readonly #checksum: number;
  readonly #byPattern = new Map<string, PatternPositions>();

  /** @param patterns of the stream, distinct */
  constructor(patterns: readonly string[]) {
    this.#patterns = inOrder(patterns);
    this.#checksum = checksum(this.#patterns);
  }

  /** The positions of one pattern, which ids name from now on. */
  of(pattern: string): PatternPositions {
    let positions = this.#byPattern.get(pattern);
    if (positions === undefined) this.#byPattern.set(pattern, (positions = new PatternPositions(this)));
    if (hasWildcard(pattern)) this.useful = true;
    return positions;
  }

  id(): string {
    this.changed = false;
    const w = writer;
    w.reset();
    writeArrayHeader(w, 2 + this.#patterns.length);
    writeUint(w, version);
    writeUint(w, this.#checksum);
    for (const pattern of this.#patterns) {
      const tags = this.#byPattern.get(pattern)?.tags;
      if (hasWildcard(pattern)) writeTags(w, pattern, tags);
      else writePosition(w, tags?.get(pattern));
    }
    return w.view().toBase64(base64);
  }
}

function writePosition(w: ByteWriter, position: Position | undefined): void {
  if (position === undefined) return writeNil(w);
  writeArrayHeader(w, 2);
  writeUint(w, position.epoch);
  writeUint(w, position.offset);
}

function writeTags(w: ByteWriter, pattern: string, tags: ReadonlyMap<string, Position> | undefined): void {
  if (tags === undefined) return writeNil(w);
  const prefix = literalPrefix(pattern);
  writeArrayHeader(w, tags.size * fieldsPerTag);
  for (const [tag, { epoch, offset }] of tags) {
    // "a/#" matches "a" too.
    if (tag.startsWith(prefix)) writeString(w, tag.slice(prefix.length));
    else writeNil(w);
    writeUint(w, epoch);
    writeUint(w, offset);
  }
}

/** What an id names. @throws ProtocolError `badRequest` where it is not one of a stream of these patterns */
export function readEventId(id: string, patterns: readonly string[]): Continuation {
  const ordered = inOrder(patterns);
  const [idVersion, idChecksum, ...groups] = decode(id);
  if (idVersion !== version) throw malformed();
  if (idChecksum !== checksum(ordered)) {
    throw new ProtocolError(errors.badRequest, "The last event id belongs to a stream of other tags");
  }
  if (groups.length !== ordered.length) throw malformed();
  const found = new Map<string, Position | ReadonlyMap<string, Position>>();
  let tags = 0;
  for (const [index, pattern] of ordered.entries()) {
    const group = groups[index];
    if (group === null) continue;
    if (!Array.isArray(group)) throw malformed();
    const since = hasWildcard(pattern) ? readTags(pattern, group) : readPosition(group);
    tags += since instanceof Map ? since.size : 1;
    found.set(pattern, since);
  }
  if (tags > eventIdLimits.tagsMax) throw malformed();
  return found;
}

function readPosition(fields: readonly unknown[]): Position {
  const [epoch, offset] = fields;
  if (fields.length !== 2 || !isEpoch(epoch) || !isOffset(offset)) throw malformed();
  return { epoch, offset };
}

function readTags(pattern: string, fields: readonly unknown[]): ReadonlyMap<string, Position> {
  if (fields.length % fieldsPerTag !== 0) throw malformed();
  const prefix = literalPrefix(pattern);
  const tags = new Map<string, Position>();
  for (let i = 0; i < fields.length; i += fieldsPerTag) {
    const rest = fields[i];
    const tag = rest === null ? prefix.slice(0, -1) : typeof rest === "string" ? prefix + rest : "";
    if (!isTag(tag) || !matches(pattern, tag) || tags.has(tag)) throw malformed();
    tags.set(tag, readPosition(fields.slice(i + 1, i + fieldsPerTag)));
  }
  return tags;
}

const decoder = new Decoder({
  maxArrayLength: 2 + fieldsPerTag * eventIdLimits.tagsMax,
  maxStrLength: tagBytesMax,
  maxMapLength: 0,
  maxBinLength: 0,
  maxExtLength: 0,
});

function decode(id: string): readonly unknown[] {
  if (id.length > eventIdLimits.lengthMax) throw malformed();
  try {
    const value = decoder.decode(Uint8Array.fromBase64(id, { alphabet: base64.alphabet }));
    if (Array.isArray(value)) return value;
  } catch (cause) {
    throw malformed(cause);
  }
  throw malformed();
}

function malformed(cause?: unknown): ProtocolError {
  return new ProtocolError(errors.badRequest, "The last event id is not one that this server gave", { cause });
}

function inOrder(patterns: readonly string[]): readonly string[] {
  return patterns.toSorted((a, b) => (a < b ? -1 : 1));
}

/** An id is good for streams of the same patterns only: positions stand in it without names. */
function checksum(patterns: readonly string[]): number {
  return Bun.hash.crc32(patterns.join("\n"));
}

/** What every tag that the pattern matches begins with, but the parent of a last `#`. */
function literalPrefix(pattern: string): string {
  return pattern.slice(0, pattern.search(/[+#]/));
}
