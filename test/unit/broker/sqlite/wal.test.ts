/** What is left of a write-ahead log, told from its bytes as SQLite wrote them. */
import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspectWal } from "../../../../src/broker/sqlite/wal.ts";
import { scratchDirectory } from "../../../harness/server.ts";

const directory = scratchDirectory();
afterAll(() => directory[Symbol.dispose]());
const frameBytes = 24 + 4096;

/** The log of a database that was written to some times, with frames of an earlier round behind those that count. */
function written(): Buffer {
  const path = join(directory.path, "a.db");
  const db = new Database(path, { create: true, readwrite: true });
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA wal_autocheckpoint = 0");
  db.run("CREATE TABLE IF NOT EXISTS t (x)");
  for (let i = 0; i < 20; i++) db.run("INSERT INTO t VALUES (?)", [`${i}`.repeat(3000)]);
  db.run("PRAGMA wal_checkpoint(RESTART)");
  for (let i = 0; i < 3; i++) db.run("INSERT INTO t VALUES (?)", [`${i}`.repeat(3000)]);
  copyFileSync(`${path}-wal`, join(directory.path, "copy"));
  db.close();
  return readFileSync(join(directory.path, "copy"));
}

const log = written();
const frames = framesOf(log);

/** Frames whose salt is that of the header. */
function framesOf(bytes: Buffer): number {
  let count = 0;
  while (bytes.compare(bytes, 16, 24, 32 + count * frameBytes + 8, 32 + count * frameBytes + 16) === 0) count++;
  return count;
}

function stateOf(change: (bytes: Buffer) => Buffer): string {
  const path = join(directory.path, "changed");
  writeFileSync(path, change(Buffer.from(log)));
  return inspectWal(path);
}

const flipped = (at: number) => (bytes: Buffer) => {
  bytes[at]! ^= 1;
  return bytes;
};

describe("inspectWal()", () => {
  test("takes a log as it was written for whole, with what an earlier round left behind it", () => {
    expect(frames).toBeGreaterThan(3);
    expect(log.length).toBeGreaterThan(32 + (frames + 5) * frameBytes);
    expect(stateOf((bytes) => bytes)).toBe("whole");
  });

  test("takes a log that ends between two frames for whole", () => {
    expect(stateOf((bytes) => bytes.subarray(0, 32 + frames * frameBytes))).toBe("whole");
    expect(stateOf((bytes) => bytes.subarray(0, 32))).toBe("whole");
  });

  test("sees that the last frame is torn, by its end or by its bytes", () => {
    expect(stateOf((bytes) => bytes.subarray(0, 32 + frames * frameBytes - 1))).toBe("torn");
    expect(stateOf((bytes) => bytes.subarray(0, 32 + (frames - 1) * frameBytes + 24))).toBe("torn");
    expect(stateOf(flipped(32 + frames * frameBytes - 100))).toBe("torn");
  });

  test("sees that frames come after one that cannot be used", () => {
    for (let frame = 0; frame < frames - 1; frame++) {
      for (const at of [0, 9, 17, 24, 3000]) expect(stateOf(flipped(32 + frame * frameBytes + at))).toBe("cut");
    }
  });

  test("sees that the header cannot be used", () => {
    for (const at of [0, 5, 9, 13, 17, 24, 31]) expect(stateOf(flipped(at))).toBe("cut");
    expect(stateOf((bytes) => bytes.subarray(0, 20))).toBe("cut");
    expect(stateOf((bytes) => bytes.fill(0))).toBe("cut");
  });

  test("tells an empty log, and none, from one that is damaged", () => {
    expect(stateOf((bytes) => bytes.subarray(0, 0))).toBe("missing");
    expect(inspectWal(join(directory.path, "nothing"))).toBe("missing");
  });
});
