/**
 * Looks at a write-ahead log that was left behind, before SQLite does: SQLite takes what is whole at its beginning and is
 * silent about the rest. The format is that of https://sqlite.org/fileformat2.html#walformat.
 */
import { readFileSync } from "node:fs";

const headerBytes = 32;
const frameHeaderBytes = 24;

/**
 * `whole`: nothing but what SQLite will take. `torn`: its last frame is not whole, as where the process was killed while it wrote.
 * `cut`: whole frames of this log come after what SQLite will take, and may be lost: the machine lost power, or the file is
 * damaged. `missing`: there is no log, or it is empty.
 */
export type WalState = "whole" | "torn" | "cut" | "missing";

/** @throws (code) where the file is there and cannot be read */
export function inspectWal(path: string): WalState {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "missing";
    throw error;
  }
  return stateOf(bytes);
}

function stateOf(bytes: Buffer): WalState {
  if (bytes.length === 0) return "missing";
  if (bytes.length < headerBytes) return "cut";
  const isBigEndian = (bytes.readUInt32BE(0) & 1) === 1;
  const sum = new Sum(bytes, isBigEndian);
  const pageBytes = bytes.readUInt32BE(8);
  sum.add(0, 24);
  const isHeader = bytes.readUInt32BE(0) >>> 1 === 0x377f_0682 >>> 1 && sum.equals(24);
  if (!isHeader || pageBytes < 512 || pageBytes > 65_536) return "cut";
  const frameBytes = frameHeaderBytes + pageBytes;
  let state: "whole" | "torn" | "ended" = "whole";
  for (let at = headerBytes; at + frameHeaderBytes <= bytes.length; at += frameBytes) {
    // The salt tells frames of this log from those of one before, which are to be overwritten.
    const isOwn = bytes.compare(bytes, 16, 24, at + 8, at + 16) === 0;
    if (isOwn && state !== "whole") return "cut";
    if (!isOwn) state = state === "torn" ? "torn" : "ended";
    else if (at + frameBytes > bytes.length) return "torn";
    else {
      sum.add(at, at + 8);
      sum.add(at + frameHeaderBytes, at + frameBytes);
      if (!sum.equals(at + 16)) state = "torn";
    }
  }
  return state === "torn" ? "torn" : "whole";
}

/** The checksum that runs through the log. */
class Sum {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #isLittleEndian: boolean;
  #a = 0;
  #b = 0;

  constructor(bytes: Buffer, isBigEndian: boolean) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#isLittleEndian = !isBigEndian;
  }

  add(from: number, to: number): void {
    let a = this.#a;
    let b = this.#b;
    for (let at = from; at < to; at += 8) {
      a = (a + this.#view.getUint32(at, this.#isLittleEndian) + b) | 0;
      b = (b + this.#view.getUint32(at + 4, this.#isLittleEndian) + a) | 0;
    }
    this.#a = a;
    this.#b = b;
  }

  /** Whether the sum up to here stands at `at`. */
  equals(at: number): boolean {
    return this.#bytes.readUInt32BE(at) === this.#a >>> 0 && this.#bytes.readUInt32BE(at + 4) === this.#b >>> 0;
  }
}
