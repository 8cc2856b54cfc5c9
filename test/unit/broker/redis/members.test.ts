/** Members of this instance, as long as Redis cannot be told of them. */
import { expect, test } from "bun:test";
import { Calls } from "../../../../src/broker/redis/calls.ts";
import { Places } from "../../../../src/broker/redis/keys.ts";
import { MemberRegistry, untoldMax } from "../../../../src/broker/redis/members.ts";

// Clients that came and went while Redis was away were remembered one by one, for as long as that took.
test("leaves that cannot be told are remembered up to a bound; beyond it the incarnation is obsolete until another begins", async () => {
  const calls = new Calls({ instance: "instance", slotLevels: 1, aheadMs: () => 0 });
  const registry = new MemberRegistry(calls, new Places(1), () => {});
  registry.begin("12345678");
  const leave = (generation: number) => registry.leave("main", "t", { client: "anna", generation, info: null });
  await Promise.allSettled(Array.from({ length: untoldMax }, (_, generation) => leave(generation)));
  expect(registry.isObsolete).toBe(false);
  expect(leave(untoldMax)).rejects.toThrow();
  await Promise.allSettled([leave(untoldMax + 1)]);
  expect(registry.isObsolete).toBe(true);
  registry.begin("87654321");
  expect(registry.isObsolete).toBe(false);
});
