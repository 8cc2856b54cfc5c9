/** What a connection knows of aliases while the hub forgets tags. */
import { expect, test } from "bun:test";
import type { Identity } from "../../../src/core/identity.ts";
import { Space } from "../../../src/hub/space.ts";
import { Aliases } from "../../../src/session/aliases.ts";

/** Grants allow everything here. */
const identity = {} as Identity;

test("an alias stands for its tag also after the tag was forgotten, and a subscription then has another one", () => {
  const space = new Space("main", [], { tagsMax: 2 });
  const aliases = new Aliases({ target: (_, tag) => space.tag(tag) });
  const state = space.tag("a");
  const alias = aliases.give(state);
  expect(aliases.find(identity, alias?.number ?? 0)).toBe(state);
  for (const tag of ["b", "c", "d"]) space.tag(tag);
  expect(state.forgotten).toBe(true);

  const found = aliases.find(identity, alias?.number ?? 0);
  expect([found.tag, found.forgotten, found === state]).toEqual(["a", false, false]);
  expect(aliases.give(found)).toBe(alias);
  space.topic("a", false);
  const other = aliases.give(space.tag("a"));
  expect(other?.number).toBeGreaterThan(alias?.number ?? 0);
  expect(aliases.find(identity, other?.number ?? 0).tag).toBe("a");
  expect(aliases.find(identity, alias?.number ?? 0).tag).toBe("a");
});
