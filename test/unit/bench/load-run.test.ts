/** Runs of the bench's driver, with a server that is a function. */
import { describe, expect, test } from "bun:test";
import type { RunCommand } from "../../../bench/load/commands.ts";
import { Count } from "../../../bench/load/counting.ts";
import { countStreams, LoadRun } from "../../../bench/load/load-run.ts";
import { readSequence, readStream } from "../../../bench/load/payload.ts";
import { Stopwatch } from "../../../bench/load/stopwatch.ts";
import { Turn } from "../../../bench/load/turn.ts";

const base: RunCommand = {
  do: "run",
  publishers: "publishers",
  tags: [["a"]],
  payloadBytes: 64,
  messages: 100,
  seconds: 30,
  pace: { inFlight: 8 },
  acknowledge: false,
  receivers: 2,
  quietMs: 20,
};

interface Server {
  readonly count: Count;
  readonly turn: Turn;
  /** Of the message that is delivered. */
  readonly sequence: number;
}

/** Delivers each message to both receivers in the next turn, unless `takes` does something else. */
async function run(wishes: Partial<RunCommand>, takes?: (server: Server) => boolean) {
  const command = { ...base, ...wishes };
  const turn = new Turn();
  const publishers = command.tags.length;
  const streams = countStreams(command, publishers);
  const count = new Count({ run: 3, receivers: 2, streams, payloadBytes: 64, sampleEvery: 1 }, turn);
  const published: string[] = [];
  /** Tags of each; behind the last one an empty one. */
  const frames: string[][] = [[]];
  let outstanding = 0;
  let most = 0;
  const client = {
    publish(tag: string, payload: Uint8Array, acknowledge: boolean, more: boolean) {
      frames[frames.length - 1]?.push(tag);
      if (!more) frames.push([]);
      const bytes = Uint8Array.from(payload);
      published.push(`${tag} ${readStream(bytes, 0)} ${readSequence(bytes, 0)}`);
      most = Math.max(most, ++outstanding);
      setImmediate(() => {
        if (takes === undefined || takes({ count, turn, sequence: readSequence(bytes, 0) })) {
          outstanding--;
          for (const receiver of [0, 1]) count.message(receiver, bytes, 0, bytes.length);
        }
        if (acknowledge) count.acknowledged(1);
        turn.arrived(bytes.length);
      });
    },
  };
  const parts = { command, run: 3, count, turn, stopwatch: new Stopwatch(turn) };
  const tally = await new LoadRun({ ...parts, publishers: Array.from({ length: publishers }, () => client) }).result();
  return { tally, published, most, frames: frames.slice(0, -1) };
}

describe("LoadRun", () => {
  test("publishes what it was asked to, never more in flight than allowed, and ends when all has arrived", async () => {
    const { tally, most } = await run({});
    expect(tally).toMatchObject({ published: 100, expected: 200, delivered: 200, lost: 0, doubled: 0, reordered: 0 });
    expect(tally.failures).toEqual([]);
    expect(most).toBe(8);
    expect(tally.latency.max).toBeGreaterThan(0);
  });

  test("says what was lost, and goes on without it", async () => {
    const { tally } = await run({}, ({ sequence }) => sequence % 10 !== 0);
    expect(tally).toMatchObject({ published: 100, expected: 200, delivered: 180, lost: 20, told: 0 });
  });

  test("does not count for lost what the subscriber was told of", async () => {
    const { tally } = await run({}, ({ sequence, count }) => {
      if (sequence % 10 !== 0) return true;
      count.told(2);
      return false;
    });
    expect(tally).toMatchObject({ delivered: 180, lost: 0, told: 20 });
  });

  test("has as many in flight as are not acknowledged, where nobody is to receive them", async () => {
    const { tally } = await run({ receivers: 0, acknowledge: true }, () => false);
    expect(tally).toMatchObject({ published: 100, acknowledged: 100, expected: 0, lost: 0 });
  });

  test("takes publishers and tags in turn, and numbers each of their streams from 1", async () => {
    const { tally, published } = await run({ tags: [["a", "b"], ["c"]], messages: 6 });
    expect(published).toEqual(["a 0 1", "c 2 1", "b 1 1", "c 2 2", "a 0 2", "c 2 3"]);
    expect(tally).toMatchObject({ delivered: 12, lost: 0, reordered: 0 });
  });

  test("fills frames, each with publishes of one client, and has no more in flight for it", async () => {
    const wishes = { tags: [["a", "b"], ["c"]], messages: 22, perFrame: 4, pace: { inFlight: 9 } };
    const { tally, frames, most } = await run(wishes);
    const [ab, c] = [
      ["a", "b", "a", "b"],
      ["c", "c", "c", "c"],
    ];
    expect(frames).toEqual([ab, c, ab, c, ab, ["c", "c"]] as string[][]);
    expect(most).toBe(8);
    expect(tally).toMatchObject({ published: 22, delivered: 44, lost: 0, reordered: 0 });
    expect(await run({ perFrame: 16 }).catch(String)).toContain("more than may be in flight");
  });

  test("keeps a rate in frames too", async () => {
    const { tally, frames } = await run({ pace: { perSecond: 1000 }, messages: 48, perFrame: 8 });
    expect(tally).toMatchObject({ published: 48, delivered: 96 });
    expect(frames.map(({ length }) => length)).toEqual([8, 8, 8, 8, 8, 8]);
    expect(tally.seconds).toBeGreaterThanOrEqual(0.046);
  });

  test("keeps a rate", async () => {
    const { tally } = await run({ pace: { perSecond: 1000 }, messages: 50 });
    expect(tally).toMatchObject({ published: 50, delivered: 100 });
    // A timer is never early; how late it is says nothing about the rate.
    expect(tally.seconds).toBeGreaterThanOrEqual(0.048);
  });

  test("ends after its time", async () => {
    const { tally } = await run({ messages: 2 ** 30, seconds: 0.05 });
    expect(tally.published).toBeGreaterThan(8);
    expect(tally.lost).toBe(0);
  });

  test("reports messages that are not its own", async () => {
    const { tally } = await run({ messages: 1 }, ({ count }) => {
      count.message(0, new Uint8Array(63), 0, 63);
      return true;
    });
    expect(tally.failures).toEqual(["A payload has another length than was published"]);
    expect(tally.delivered).toBe(2);
  });
});
