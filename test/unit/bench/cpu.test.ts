/** CPU time of processes, as the bench reads it. */
import { describe, expect, test } from "bun:test";
import { CpuMeter, ProcessTime, processTree } from "../../../bench/measure/cpu.ts";
import { residentBytes } from "../../../bench/measure/memory.ts";

/** A shell with a child that uses CPU time until told what to do next by a line on stdin. */
function burner(milliseconds: number) {
  const program = `
    const until = process.cpuUsage().user + ${milliseconds * 1000};
    while (process.cpuUsage().user < until);
    const { user, system } = process.cpuUsage();
    console.log((user + system) / 1e6);
    for await (const _ of console) break;`;
  return Bun.spawn(["sh", "-c", '"$0" -e "$1"; exit', process.execPath, program], { stdin: "pipe", stdout: "pipe" });
}

describe("CpuMeter", () => {
  test("counts what a process under the measured one uses, and keeps it when that ends", async () => {
    const shell = burner(300);
    const meter = new CpuMeter(shell.pid);
    const reader = shell.stdout.getReader();
    const { value } = await reader.read();
    const said = Number(new TextDecoder().decode(value));
    expect(processTree(shell.pid)).toHaveLength(2);
    const running = meter.seconds();
    // The child's own account comes from the same books, read a moment earlier.
    expect(said).toBeGreaterThan(0.3);
    expect(running).toBeGreaterThan(0.8 * said);
    expect(running).toBeLessThan(said + 0.1);
    expect(residentBytes(shell.pid)).toBeGreaterThan(residentBytes(process.pid) / 100);
    await shell.stdin.write("\n");
    await shell.stdin.end();
    await shell.exited;
    expect(processTree(shell.pid)).toEqual([]);
    expect(residentBytes(shell.pid)).toBe(0);
    expect(meter.seconds()).toBeGreaterThanOrEqual(running);
  });

  test("counts from when it is opened", () => {
    const meter = new CpuMeter(process.pid);
    expect(meter.seconds()).toBeLessThan(process.cpuUsage().user / 1e6);
  });
});

describe("the time of one process", () => {
  const threads = (times: Readonly<Record<string, number>>) => new Map(Object.entries(times));

  test("is the sum of its threads, those that ended included", () => {
    const time = new ProcessTime(0);
    time.update(0, threads({ a: 0.001, b: 0.002 }));
    time.update(0, threads({ a: 0.004 }));
    expect(time.seconds).toBeCloseTo(0.006, 9);
  });

  test("does not fall where a thread's id is used again", () => {
    const time = new ProcessTime(0);
    time.update(0, threads({ a: 0.5 }));
    time.update(0, threads({ a: 0.1 }));
    expect(time.seconds).toBeCloseTo(0.6, 9);
  });

  test("is that of the process's own account where threads came and went unseen", () => {
    const time = new ProcessTime(1);
    time.update(1, threads({ a: 0.9 }));
    time.update(3, threads({ a: 0.95 }));
    // Less what the account may be off by.
    expect(time.seconds).toBeCloseTo(0.9 + 2 - 0.02, 9);
    time.update(3, threads({}));
    expect(time.seconds).toBeCloseTo(0.9 + 2 - 0.02, 9);
  });
});
