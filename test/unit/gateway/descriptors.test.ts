import { describe, expect, test } from "bun:test";
import { connectionBound, descriptorLimit, descriptorsMin } from "../../../src/gateway/descriptors.ts";

describe("connectionBound()", () => {
  test("leaves descriptors for everything else", () => {
    expect(connectionBound(0, 1024)).toBe(908);
    expect(connectionBound(0, descriptorsMin)).toBe(179);
    expect(connectionBound(100, 1024)).toBe(100);
    expect(connectionBound(908, 1024)).toBe(908);
  });

  test("refuses a wish that the limit has no room for, and says how much there is", () => {
    expect(() => connectionBound(909, 1024)).toThrow(
      "connections-max is 909, but 1024 file descriptors leave room for 908: raise the limit (ulimit -n) or lower the setting",
    );
  });

  test("refuses a limit that nothing can work with", () => {
    expect(() => connectionBound(1, 100)).toThrow("only 100 file descriptors are allowed, and 256 are the least");
  });

  test("takes the wish, or no bound, where there is no limit", () => {
    expect([connectionBound(5, null), connectionBound(0, null)]).toEqual([5, Number.POSITIVE_INFINITY]);
  });
});

describe("descriptorLimit()", () => {
  test("is what the shell says of this process", () => {
    const said = Bun.spawnSync(["sh", "-c", `grep 'Max open files' /proc/${process.pid}/limits`]).stdout.toString();
    expect(descriptorLimit()).toBe(Number(said.trim().split(/\s+/)[3]));
  });
});
