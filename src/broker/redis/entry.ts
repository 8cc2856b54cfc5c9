/** How an entry goes to Redis: within the block of a call, or, where it is large, as an argument of its own. */
import { ByteWriter } from "../../lib/byte-writer.ts";
import { entrySize, type Span, writeEntry } from "../entry.ts";

/** From so many bytes on an entry is an argument of its own, which Redis need not cut out of the block. */
const ownArgumentBytes = 2048;

/** Writes a span behind its length, or notes in `more` that it is the next argument of the call. */
export function writeMessages(writer: ByteWriter, span: Span, more: Buffer[]): void {
  const size = entrySize(span);
  if (size < ownArgumentBytes) {
    writer.u32(size);
    writer.ensure(size);
    return writeEntry(writer, span);
  }
  writer.u32(0);
  const own = new ByteWriter(size);
  writeEntry(own, span);
  more.push(own.bytes.subarray(0, own.length));
}
