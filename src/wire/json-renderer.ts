/**
 * MessagePack to JSON text, for values whose extent was checked before. Whoever publishes chooses the bytes, and one who
 * listens in JSON makes the server render them: so time and length stay in proportion to the bytes, whatever they are.
 */
import { JsonText } from "./json-text.ts";

/** Deeper values are rendered as `$raw`: far beyond what clients may send, and well within the stack. */
const depthMax = 1024;
/**
 * Text that one byte of a payload may become. Nothing that JSON itself has takes more (`false,` stands for one byte, and
 * so does `\u0001`): only forms can, and a value with too many of them is rendered as one `$raw`.
 */
const growthMax = 6;
/** Added to that, so that small values have their forms. */
const growthSlackBytes = 4096;
/** Storage that had to grow beyond this is not kept. */
const capacityKeptMax = 1 << 20;

const noBytes = new Uint8Array(0);

/** Says that the value is rendered as its bytes. One for all, as it never leaves this file and its stack would cost. */
const unfit = new Error("Too deep or too long");

/** Renders one value at a time. Reads without checks of its own: the bytes were accepted by `Cursor.skip`. */
export class JsonRenderer {
  #bytes: Uint8Array = noBytes;
  #at = 0;
  #depth = 0;
  #lengthMax = 0;
  #text = new JsonText();
  readonly #number = new DataView(new ArrayBuffer(8));

  /** The text of the value in `bytes[start…end)`: in UTF-8 at most six times as long and 4 KiB. */
  render(bytes: Uint8Array, start: number, end: number): string {
    this.#bytes = bytes;
    this.#at = start;
    this.#lengthMax = (end - start) * growthMax + growthSlackBytes;
    try {
      this.#value();
      this.#checkLength();
      return this.#text.toString();
    } catch (error) {
      if (error !== unfit) throw error;
      return `{"$raw":"${Buffer.prototype.toString.call(bytes, "base64", start, end)}"}`;
    } finally {
      this.#reset();
    }
  }

  #reset(): void {
    this.#bytes = noBytes;
    this.#depth = 0;
    if (this.#text.capacity > capacityKeptMax) this.#text = new JsonText();
    else this.#text.reset();
  }

  #checkLength(): void {
    if (this.#text.length > this.#lengthMax) throw unfit;
  }

  #value(): void {
    this.#checkLength();
    const byte = this.#bytes[this.#at++] as number;
    if (byte < 0x80) this.#integer(byte);
    else if (byte >= 0xe0) this.#integer(byte - 0x100);
    else if (byte < 0x90) this.#map(byte & 0x0f);
    else if (byte < 0xa0) this.#array(byte & 0x0f);
    else if (byte < 0xc0) this.#string(byte & 0x1f, 1);
    else this.#long(byte);
  }

  #long(byte: number): void {
    switch (byte) {
      case 0xc2:
        return this.#text.ascii("false");
      case 0xc3:
        return this.#text.ascii("true");
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#bytesForm('{"$bin":"', this.#advance(this.#uint(1 << (byte - 0xc4))));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#ext(this.#uint(1 << (byte - 0xc7)));
      case 0xca:
        return this.#float(this.#load(4).getFloat32(0));
      case 0xcb:
        return this.#float(this.#load(8).getFloat64(0));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#integer(this.#uint(1 << (byte - 0xcc)));
      case 0xcf:
        return this.#large(this.#load(8).getBigUint64(0));
      case 0xd0:
        return this.#integer(this.#load(1).getInt8(0));
      case 0xd1:
        return this.#integer(this.#load(2).getInt16(0));
      case 0xd2:
        return this.#integer(this.#load(4).getInt32(0));
      case 0xd3:
        return this.#large(this.#load(8).getBigInt64(0));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#string(this.#uint(1 << (byte - 0xd9)), 1 + (1 << (byte - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#uint(2 << (byte - 0xdc)));
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 << (byte - 0xde)));
      default:
        return byte >= 0xd4 ? this.#ext(1 << (byte - 0xd4)) : this.#text.ascii("null");
    }
  }

  #integer(value: number): void {
    if (value < 0 || value > 9) this.#text.ascii(String(value));
    else this.#text.byte(0x30 + value);
  }

  #large(value: bigint): void {
    const safe = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
    this.#text.ascii(safe ? String(value) : `{"$int":"${value}"}`);
  }

  #float(value: number): void {
    if (!Number.isFinite(value)) this.#text.ascii(`{"$num":"${value}"}`);
    else this.#text.ascii(Object.is(value, -0) ? "-0" : String(value));
  }

  /** `head` is the length of the header before the text. */
  #string(length: number, head: number): void {
    const start = this.#advance(length);
    if (!this.#text.string(this.#bytes, start, this.#at)) this.#bytesForm('{"$raw":"', start - head);
  }

  #ext(length: number): void {
    const text = this.#text;
    text.ascii('{"$ext":[');
    this.#integer(this.#load(1).getInt8(0));
    text.ascii(',"');
    text.base64(this.#bytes, this.#advance(length), this.#at);
    text.ascii('"]}');
  }

  /** The bytes from `start` up to here. */
  #bytesForm(head: string, start: number): void {
    this.#text.ascii(head);
    this.#text.base64(this.#bytes, start, this.#at);
    this.#text.ascii('"}');
  }

  #array(count: number): void {
    this.#enter();
    const text = this.#text;
    text.byte(0x5b);
    for (let i = 0; i < count; i++) {
      if (i > 0) text.byte(0x2c);
      this.#value();
    }
    text.byte(0x5d);
    this.#depth--;
  }

  #map(count: number): void {
    if (count === 0) return this.#text.ascii("{}");
    this.#enter();
    const text = this.#text;
    const map = text.openMap();
    for (let i = 0; i < count; i++) {
      text.key(map);
      this.#value();
      text.colon();
      this.#value();
    }
    text.closeMap(map);
    this.#depth--;
  }

  #enter(): void {
    if (++this.#depth > depthMax) throw unfit;
  }

  #uint(width: number): number {
    const start = this.#advance(width);
    let value = 0;
    for (let i = start; i < this.#at; i++) value = value * 256 + (this.#bytes[i] as number);
    return value;
  }

  /** The next `width` bytes, at most 8. */
  #load(width: number): DataView {
    const start = this.#advance(width);
    for (let i = 0; i < width; i++) this.#number.setUint8(i, this.#bytes[start + i] as number);
    return this.#number;
  }

  /** Passes `count` bytes and returns where they begin. */
  #advance(count: number): number {
    const start = this.#at;
    this.#at += count;
    return start;
  }
}
