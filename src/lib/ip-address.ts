/** IP addresses and ranges of them: read from text, compared, cut to a prefix, written in one form. IPv4 within IPv6 is IPv4. */
import { isIPv4, isIPv6 } from "node:net";

/** 4 or 16 bytes, the first the highest. */
export type IpAddress = readonly number[];

/** All addresses that begin with the same bits. */
export interface IpRange {
  readonly address: IpAddress;
  /** Bits that count: at most 32, or 128. */
  readonly bits: number;
}

const mappedPrefix: IpAddress = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];

/** The address that `text` is, or null. Without brackets, port and zone. */
export function parseIp(text: string): IpAddress | null {
  if (isIPv4(text)) return text.split(".").map(Number);
  if (!isIPv6(text) || text.includes("%")) return null;
  const bytes = parseIpv6(text);
  return mappedPrefix.every((byte, i) => bytes[i] === byte) ? bytes.slice(mappedPrefix.length) : bytes;
}

/** An address, or one with `/` and the number of bits that count; null where it is neither. */
export function parseIpRange(text: string): IpRange | null {
  const [base = "", length, more] = text.split("/");
  const address = parseIp(base);
  if (address === null || more !== undefined) return null;
  const most = address.length * 8;
  if (length === undefined) return { address, bits: most };
  if (!/^\d{1,3}$/.test(length)) return null;
  // `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
  const bits = Number(length) - (address.length === 4 && base.includes(":") ? mappedPrefix.length * 8 : 0);
  return bits >= 0 && bits <= most ? { address, bits } : null;
}

export function isWithin(address: IpAddress, range: IpRange): boolean {
  if (address.length !== range.address.length) return false;
  const cut = maskedTo(address, range.bits);
  return maskedTo(range.address, range.bits).every((byte, i) => byte === cut[i]);
}

/** The address with all bits but the first `bits` zero. */
export function maskedTo(address: IpAddress, bits: number): IpAddress {
  return address.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))));
}

/** Dotted, or as RFC 5952 writes it: lowercase, the longest run of zeros left out. */
export function formatIp(address: IpAddress): string {
  if (address.length === 4) return address.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (address[2 * i] ?? 0) * 256 + (address[2 * i + 1] ?? 0));
  let start = 0;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  const hex = groups.map((group) => group.toString(16));
  return length === 1 ? hex.join(":") : `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

function parseIpv6(text: string): number[] {
  // Dotted digits at the end are the last two groups.
  const dotted = /[^:]*\.[^:]*$/.exec(text)?.[0];
  const last = dotted?.split(".").map(Number) ?? [];
  const plain = dotted === undefined ? text : text.slice(0, -dotted.length);
  const [before = "", after] = plain.split("::");
  const head = groupsOf(before);
  const tail = [...groupsOf(after ?? ""), ...last];
  return after === undefined
    ? [...head, ...tail]
    : [...head, ...Array(16 - head.length - tail.length).fill(0), ...tail];
}

function groupsOf(text: string): number[] {
  return text.split(":").flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return group === "" ? [] : [value >> 8, value & 255];
  });
}
