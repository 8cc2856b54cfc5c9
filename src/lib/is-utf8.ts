/** Whether bytes are well-formed UTF-8 (RFC 3629), without a decoder that throws: that costs a microsecond each time. */
import { isUtf8 as isUtf8Native } from "node:buffer";

/** Up to here a loop of our own is cheaper than a view and a native call. */
const loopBytesMax = 48;

export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > loopBytesMax) return isUtf8Native(bytes.subarray(start, end));
  let at = start;
  while (at < end) {
    const lead = bytes[at++] as number;
    if (lead < 0x80) continue;
    const more = continuationBytes(lead);
    if (more === 0 || at + more > end) return false;
    const second = bytes[at] as number;
    // The shortest form only, no surrogates, and nothing beyond U+10FFFF.
    const min = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const max = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < min || second > max) return false;
    for (let i = 1; i < more; i++) if (((bytes[at + i] as number) & 0xc0) !== 0x80) return false;
    at += more;
  }
  return true;
}

/** 0: no character begins so. */
function continuationBytes(lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}
