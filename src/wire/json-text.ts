/**
 * JSON text as it is written, in UTF-8: strings and base64 from bytes, and maps that are objects until they turn out not
 * to be. Knows nothing of MessagePack.
 */
import { isUtf8 } from "../lib/is-utf8.ts";
import { ByteWriter } from "../lib/byte-writer.ts";

/** Up to here a loop of our own is cheaper than native calls. */
const loopBytesMax = 48;
/** Up to here keys are compared with one another, beyond it they are put into a set. */
const comparedKeysMax = 8;

const quote = 0x22;
const dollar = 0x24;
const comma = 0x2c;
const colon = 0x3a;
const equalsSign = 0x3d;
const backslash = 0x5c;

/**
 * Stand-ins in a map that turned out to be no object after it was written as one: they take the place of `{`, `,` and `}`,
 * and are replaced at the end. No text has these bytes, JSON escapes them.
 */
const marks = { open: 1, next: 2, close: 3 } as const;
const replacements = ["", '{"$map":[[', "],[", "]]}"].map((text) => Buffer.from(text));
const added = replacements.map(({ length }) => length - 1) as [number, number, number, number];

/** By byte: how it stands in a string. */
const escapes = Array.from({ length: backslash + 1 }, (_, byte) => {
  return Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1));
});
const digits = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

/** A map being written. */
export interface OpenMap {
  readonly at: number;
  /** Its first entry in the list of keys. */
  readonly firstKey: number;
}

export class JsonText {
  readonly #out = new ByteWriter();
  /** Length that the marks will add. */
  #markedBytes = 0;
  /** For each key of the maps being written: where it begins, and where its colon stands. */
  readonly #keys: number[] = [];

  /** Bytes of the text as it will be. */
  get length(): number {
    return this.#out.length + this.#markedBytes;
  }

  /** Bytes of storage, which only grow. */
  get capacity(): number {
    return this.#out.bytes.length;
  }

  reset(): void {
    this.#out.reset();
    this.#markedBytes = 0;
    this.#keys.length = 0;
  }

  toString(): string {
    const { bytes, length } = this.#out;
    if (this.#markedBytes === 0) return bytes.toString("utf8", 0, length);
    const text = Buffer.allocUnsafe(length + this.#markedBytes);
    let at = 0;
    for (let i = 0; i < length; i++) {
      const byte = bytes[i] as number;
      if (byte <= marks.close) at = copy(replacements[byte] as Buffer, text, at);
      else text[at++] = byte;
    }
    return text.toString("utf8", 0, at);
  }

  byte(byte: number): void {
    this.#out.u8(byte);
  }

  ascii(text: string): void {
    const out = this.#out;
    out.ensure(text.length);
    const { bytes } = out;
    let at = out.length;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    out.length = at;
  }

  /** Writes `source[start…end)` as a string; false, and nothing written, where it is not UTF-8. */
  string(source: Uint8Array, start: number, end: number): boolean {
    if (end - start > loopBytesMax) return this.#longString(source, start, end);
    const out = this.#out;
    // Six for each byte, were all of them escaped, and the quotes.
    out.ensure((end - start) * 6 + 2);
    const { bytes } = out;
    let at = out.length;
    let all = 0;
    bytes[at++] = quote;
    for (let i = start; i < end; i++) {
      const byte = source[i] as number;
      all |= byte;
      if (byte < 0x20 || byte === quote || byte === backslash) at = copy(escapes[byte] as Buffer, bytes, at);
      else bytes[at++] = byte;
    }
    bytes[at++] = quote;
    if (all >= 0x80 && !isUtf8(source, start, end)) return false;
    out.length = at;
    return true;
  }

  #longString(source: Uint8Array, start: number, end: number): boolean {
    if (!isUtf8(source, start, end)) return false;
    this.#out.utf8(JSON.stringify(Buffer.prototype.toString.call(source, "utf8", start, end)));
    return true;
  }

  /** Writes the base64 of `source[start…end)`, without quotes. */
  base64(source: Uint8Array, start: number, end: number): void {
    const out = this.#out;
    if (end - start > loopBytesMax) {
      out.utf8(Buffer.prototype.toString.call(source, "base64", start, end));
      return;
    }
    out.ensure((end - start) * 2 + 4);
    const { bytes } = out;
    let at = out.length;
    for (let i = start; i < end; i += 3) {
      const second = i + 1 < end ? (source[i + 1] as number) : 0;
      const third = i + 2 < end ? (source[i + 2] as number) : 0;
      const group = ((source[i] as number) << 16) | (second << 8) | third;
      bytes[at++] = digits[group >> 18] as number;
      bytes[at++] = digits[(group >> 12) & 63] as number;
      bytes[at++] = i + 1 < end ? (digits[(group >> 6) & 63] as number) : equalsSign;
      bytes[at++] = i + 2 < end ? (digits[group & 63] as number) : equalsSign;
    }
    out.length = at;
  }

  /** Begins a map; each entry is `key`, a value, `colon`, a value. */
  openMap(): OpenMap {
    const map = { at: this.#out.length, firstKey: this.#keys.length };
    this.#out.u8(0x7b);
    return map;
  }

  key(map: OpenMap): void {
    if (this.#keys.length > map.firstKey) this.#out.u8(comma);
    this.#keys.push(this.#out.length);
  }

  colon(): void {
    this.#keys.push(this.#out.length);
    this.#out.u8(colon);
  }

  closeMap(map: OpenMap): void {
    this.#out.u8(0x7d);
    if (!this.#canBeObject(map.firstKey)) this.#makeList(map);
    this.#keys.length = map.firstKey;
  }

  /** Whether a map with the keys from `first` on can stand as an object that no reader takes for a form or cuts short. */
  #canBeObject(first: number): boolean {
    const { bytes } = this.#out;
    const keys = this.#keys;
    // The text of every form, list and number begins with another character than that of a string.
    for (let i = first; i < keys.length; i += 2) if (bytes[keys[i] as number] !== quote) return false;
    const count = (keys.length - first) / 2;
    if (count === 1) return bytes[(keys[first] as number) + 1] !== dollar;
    if (count > comparedKeysMax) return this.#areUnique(first);
    for (let i = first + 2; i < keys.length; i += 2) {
      for (let j = first; j < i; j += 2) if (this.#isSameKey(i, j)) return false;
    }
    return true;
  }

  #isSameKey(a: number, b: number): boolean {
    const { bytes } = this.#out;
    const keys = this.#keys;
    const start = keys[a] as number;
    const length = (keys[a + 1] as number) - start;
    const other = keys[b] as number;
    if ((keys[b + 1] as number) - other !== length) return false;
    for (let i = 1; i < length; i++) if (bytes[start + i] !== bytes[other + i]) return false;
    return true;
  }

  #areUnique(first: number): boolean {
    const { bytes } = this.#out;
    const keys = this.#keys;
    const seen = new Set<string>();
    for (let i = first; i < keys.length; i += 2) seen.add(bytes.toString("latin1", keys[i], keys[i + 1]));
    return seen.size * 2 === keys.length - first;
  }

  /** Turns the object that was just written into a `$map`. */
  #makeList({ at, firstKey }: OpenMap): void {
    const { bytes, length } = this.#out;
    const keys = this.#keys;
    bytes[at] = marks.open;
    for (let i = firstKey; i < keys.length; i += 2) {
      if (i > firstKey) bytes[(keys[i] as number) - 1] = marks.next;
      bytes[keys[i + 1] as number] = comma;
    }
    bytes[length - 1] = marks.close;
    const nexts = (keys.length - firstKey) / 2 - 1;
    this.#markedBytes += added[marks.open] + nexts * added[marks.next] + added[marks.close];
  }
}

/** Cheaper than a native copy for a few bytes; returns where they end. */
function copy(source: Buffer, target: Buffer, start: number): number {
  for (let i = 0; i < source.length; i++) target[start + i] = source[i] as number;
  return start + source.length;
}
