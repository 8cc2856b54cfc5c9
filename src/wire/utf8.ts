/** UTF-8 that is checked: what clients send is well-formed or refused, never repaired. */
import { isUtf8 } from "../lib/is-utf8.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Up to here building the text unit by unit is cheaper than a native decoder. */
const loopBytesMax = 24;

/** The text of `bytes[start…end)`, or null where it is ill-formed. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string | null {
  if (end - start <= loopBytesMax) {
    let text = "";
    let at = start;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (at === end) return text;
  }
  // Asked first: whoever sends ill-formed text would have a fatal decoder throw, which costs ten times as much.
  return isUtf8(bytes, start, end) ? decoder.decode(bytes.subarray(start, end)) : null;
}

/** Bytes that `text` takes as UTF-8. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text);
}
