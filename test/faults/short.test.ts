/** The short form: every fault once, over real processes, under load. Each prints its seed, by which it is run again. */
import { describe, expect, test } from "bun:test";
import { checked, figure } from "./checked.ts";

const mostMs = 150_000;
const timeoutMs = mostMs + 5000;

/** @returns the report */
async function expectRight(...args: readonly string[]): Promise<string> {
  const { status, output } = await checked(args, mostMs);
  console.log(output);
  expect({ status, output: status === 0 ? "" : output }).toEqual({ status: 0, output: "" });
  expect(figure(output, "lost untold ", "")).toBe(0);
  const [, steps = "0"] = /^ +[\d.]+ \d+\/(\d+) .+: whole after [\d.]+ s$/m.exec(output) ?? [];
  expect(output.match(/: whole after [\d.]+ s$/gm)).toHaveLength(Number(steps));
  expect(output).toMatch(
    /^RIGHT: \d+ faults; service was whole again after [\d.]+ s in the median, [\d.]+ s at most$/m,
  );
  return output;
}

async function expectShort(...args: readonly string[]): Promise<void> {
  const output = await expectRight("--form", "short", ...args);
  expect(figure(output, "", " a second while nothing was wrong")).toBeGreaterThanOrEqual(1000);
}

const standalone = () => expectShort("--topology", "standalone");
const sentinel = () => expectShort("--topology", "sentinel", "--only", "Sentinel");
const cluster = () => expectShort("--topology", "cluster", "--only", "Cluster,slot");

describe("Nothing is lost untold, doubled or out of order while there fail", () => {
  test("Redis, connections to it, and instances", standalone, timeoutMs);
  test("masters that Sentinels watch", sentinel, timeoutMs);
  test("masters of a Redis Cluster, while slots move", cluster, timeoutMs);
});

async function rolling(): Promise<void> {
  const output = await expectRight("--form", "rolling");
  expect(output.match(/instance restarted in order \(instance \d\): whole/g)).toHaveLength(3);
  expect(figure(output, "lost and told ", "")).toBe(0);
}

test("A rolling restart of three instances under load loses nothing on tags with a log", rolling, timeoutMs);
