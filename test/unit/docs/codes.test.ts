/** docs/codes.md against the table of codes. */
import { expect, test } from "bun:test";
import * as codes from "../../../src/core/codes.ts";
import { codesPath, renderCodes } from "../../docs/codes.ts";

test("docs/codes.md is in step with src/core/codes.ts (bun test/docs/codes.ts)", async () => {
  expect(await Bun.file(codesPath).text()).toBe(renderCodes());
});

test("every code stands in the range of its op, once", () => {
  const ranges = [
    [codes.errors, 100, 199],
    [codes.gaps, 200, 299],
    [codes.unsubscribes, 2000, 2999],
    [codes.disconnects, 3000, 3999],
  ] as const;
  const seen = new Set<number>();
  for (const [table, first, last] of ranges) {
    for (const { code } of Object.values(table)) {
      expect(code >= first && code <= last && !seen.has(code)).toBe(true);
      seen.add(code);
    }
  }
});

test("the range of a code says what its retry column says", () => {
  for (const { code, retry } of Object.values(codes.unsubscribes)) expect(retry).toBe(code >= 2500);
  for (const { code, retry } of Object.values(codes.disconnects)) expect(retry).toBe(code < 3500);
});
