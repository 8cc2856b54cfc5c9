/** The header that each call begins with, and what of it is known only once it is known where the call goes. */
import type { ByteWriter } from "../../../lib/byte-writer.ts";

const clusteredAt = 1;
const runAt = 18;
const runBytes = 20;
const noRun = new Uint8Array(runBytes);

export interface Header {
  readonly slotLevels: number;
  /** 8 ASCII characters. */
  readonly instance: string;
  readonly call: number;
  readonly seed: number;
  readonly aheadMs: number;
}

export function writeHeader(writer: ByteWriter, { slotLevels, instance, call, seed, aheadMs }: Header): void {
  writer.u8(slotLevels);
  writer.u8(0);
  writer.utf8(instance);
  writer.u32(call);
  writer.u32(seed);
  writer.append(noRun);
  writer.f64(aheadMs);
}

/** Adds the run id of the server that the call goes to, and whether that is part of a Redis Cluster. */
export function stamp(block: Buffer, runId: Uint8Array, isClustered: boolean): void {
  block[clusteredAt] = isClustered ? 1 : 0;
  block.set(runId, runAt);
}
