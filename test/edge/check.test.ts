/** The comparison at the end of a run: it finds what it is there for. */
import { describe, expect, test } from "bun:test";
import { faultsOf, type TagRecord } from "./check.ts";

const entry = (id: string, offset: number, epoch = 7) => ({ id, epoch, offset });
const acknowledged = (id: string, offset: number) => ({ id, place: { epoch: 7, offset } });

/** Three readings, the last not answered, all kept and recorded. */
function record(changes: Partial<TagRecord> = {}): TagRecord {
  const log = [entry("a", 1), entry("b", 2), entry("c", 3)];
  return {
    tag: "t",
    readings: [acknowledged("a", 1), acknowledged("b", 2), { id: "c", place: null }],
    log,
    recorded: log,
    ...changes,
  };
}

describe("the comparison of devices, log and recorder", () => {
  test("has nothing to say of a run in which all is right, whether what was not answered was kept or not", () => {
    expect(faultsOf(record())).toEqual([]);
    const log = [entry("a", 1), entry("b", 2)];
    expect(faultsOf(record({ log, recorded: log }))).toEqual([]);
  });

  test.each<[string, Partial<TagRecord>]>([
    ["was acknowledged and is not in the log", { log: [entry("a", 1)], recorded: [entry("a", 1)] }],
    ["is in the log twice", { log: [entry("a", 1), entry("b", 2), entry("b", 3)] }],
    ["was never published", { log: [entry("a", 1), entry("b", 2), entry("z", 3)] }],
    ["came behind what was published after it", { log: [entry("b", 1), entry("a", 2)] }],
    ["stands where 3 belongs", { log: [entry("a", 1), entry("b", 2), entry("c", 4)] }],
    ["was acknowledged as 7:2 and stands at 8:2", { log: [entry("a", 1), entry("b", 2, 8)] }],
    ["the recorder has not what the log has from 7:2 on", { recorded: [entry("a", 1), entry("c", 2)] }],
    ["the recorder has not what the log has from 7:3 on", { recorded: [entry("a", 1), entry("b", 2)] }],
    ["the recorder has more than the log", { recorded: [entry("a", 1), entry("b", 2), entry("c", 3), entry("c", 4)] }],
  ])("finds what %s", (fault, changes) => {
    expect(faultsOf(record(changes)).join("\n")).toContain(fault);
  });
});
