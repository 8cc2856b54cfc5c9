import { expect, test } from "bun:test";
import { nearest } from "../../../src/lib/nearest.ts";

const words = ["host", "port", "log-level", "payload-max", "tags"];

test.each([
  ["prot", "port"],
  ["log_level", "log-level"],
  ["loglevel", "log-level"],
  ["payload-maxx", "payload-max"],
  ["tag", "tags"],
])("nearest() takes %s for %s", (word, meant) => {
  expect(nearest(word, words)).toBe(meant);
});

test.each(["", "x", "xyz", "something-else"])("nearest() has no idea what %p means", (word) => {
  expect(nearest(word, words)).toBeNull();
});
