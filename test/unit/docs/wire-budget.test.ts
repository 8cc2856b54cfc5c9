/** The wire budget of docs/protocol.md against what encoders make of a reading. */
import { expect, test } from "bun:test";
import { protocolPath, withBudget } from "../../docs/wire-budget.ts";

test("the wire budget in docs/protocol.md is what the encoders say (bun test/docs/wire-budget.ts)", async () => {
  const text = await Bun.file(protocolPath).text();
  expect(withBudget(text)).toBe(text);
  expect(() => withBudget("no place for it")).toThrow("no place");
});
