/** Which server of a Redis Cluster holds which of the slot keys. */
import type { Link } from "../connect.ts";
import { slots } from "../keys.ts";

/** A slot key: a number below 1024, or that of what instances share. */
export type Slot = number | "all";

/** Slot keys by index: the numbered ones, then `all`. */
export const slotCount = slots + 1;

export function indexOf(slot: Slot): number {
  return slot === "all" ? slots : slot;
}

export function slotAt(index: number): Slot {
  return index === slots ? "all" : index;
}

/** The index of the slot key that stands in a channel's name; null: in none. */
export function indexOfChannel(channel: string): number | null {
  const [, slot] = /^tc1:\{(\d+|all)\}/.exec(channel) ?? [];
  if (slot === undefined) return null;
  return slot === "all" ? slots : Number(slot);
}

/** The slots of Redis, by index of the slot key. */
export const hashSlots: readonly number[] = Array.from({ length: slotCount }, (_, index) =>
  hashSlotOf(`${slotAt(index)}`),
);

/** CRC-16 (XMODEM), modulo the number of slots of a Redis Cluster. */
export function hashSlotOf(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % 16_384;
}

export interface Range {
  readonly from: number;
  readonly to: number;
  /** Of the master. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** Which slots a server takes for whose. */
export async function rangesAt(link: Pick<Link, "url" | "send">): Promise<Range[]> {
  const reply = await link.send(["CLUSTER", "SLOTS"]);
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((range: unknown) => {
    if (!Array.isArray(range) || !Array.isArray(range[2])) return [];
    const [host, port, id] = range[2] as unknown[];
    const name = Buffer.isBuffer(host) ? host.toString() : "";
    // A server may not know by which name it is reached.
    const isNamed = name !== "" && name !== "?";
    const known = { id: String(id), host: isNamed ? name : new URL(link.url).hostname, port: Number(port) };
    return [{ from: Number(range[0]), to: Number(range[1]), ...known }];
  });
}

/** The range that holds a slot key. */
export function holderOf(ranges: readonly Range[], index: number): Range | null {
  const slot = hashSlots[index] as number;
  return ranges.find(({ from, to }) => from <= slot && slot <= to) ?? null;
}
