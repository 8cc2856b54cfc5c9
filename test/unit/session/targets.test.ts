/** The memory of a session for the tags it publishes to: always the right tag, whatever shares its place. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { errors } from "../../../src/core/codes.ts";
import { ProtocolError } from "../../../src/core/errors.ts";
import type { Identity } from "../../../src/core/identity.ts";
import { mayPublish } from "../../../src/hub/authorize.ts";
import type { Hub } from "../../../src/hub/hub.ts";
import { Space, type TagState } from "../../../src/hub/space.ts";
import { TargetPlaces, Targets } from "../../../src/session/targets.ts";
import { identityOf } from "../../harness/sessions.ts";

/** Answers like the hub, and lists what it was asked for. */
function openHub(): { readonly hub: Pick<Hub, "target">; readonly asked: string[] } {
  const space = new Space("main", []);
  const asked: string[] = [];
  const target = (identity: Identity, tag: string) => {
    asked.push(tag);
    if (!mayPublish(identity, tag)) throw new ProtocolError(errors.denied);
    return space.tag(tag);
  };
  return { hub: { target }, asked };
}

function find(targets: Targets, tag: string, padding = 3): TagState {
  const bytes = Buffer.from(`${"x".repeat(padding)}${tag}yy`);
  return targets.find(identityOf(), bytes, padding, bytes.length - 2);
}

test("a session always finds the very tag it names, in whatever order it names them", () => {
  const name = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom("a", "b", "é", "1", "/t", "💡") });
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 2000 }), fc.nat(5), (tags, padding) => {
      const targets = new Targets(openHub().hub, new TargetPlaces());
      for (const tag of tags) expect(find(targets, tag, padding).tag).toBe(tag);
    }),
    { numRuns: 50 },
  );
});

test("a session that publishes to a few tags in turn asks the hub for each of them once", () => {
  const { hub, asked } = openHub();
  const targets = new Targets(hub, new TargetPlaces());
  const tags = ["plant/1/temp", "plant/2/temp", "plant/3/temp", "alarm"];
  for (let round = 0; round < 100; round++) for (const tag of tags) find(targets, tag);
  expect(asked.toSorted()).toEqual(tags.toSorted());
});

test("a session that publishes to more tags than it remembers still finds most of them without asking", () => {
  const { hub, asked } = openHub();
  const targets = new Targets(hub, new TargetPlaces());
  const rounds = 20;
  for (let round = 0; round < rounds; round++) for (let tag = 0; tag < 200; tag++) find(targets, `plant/${tag}/temp`);
  expect(asked.length).toBeLessThan((200 * rounds) / 3);
});

test("a tag that the hub has forgotten is asked for again", () => {
  const { hub, asked } = openHub();
  const targets = new Targets(hub, new TargetPlaces());
  const state = find(targets, "a/b");
  state.forgotten = true;
  find(targets, "a/b");
  find(targets, "c");
  find(targets, "a/b");
  expect(asked.filter((tag) => tag === "a/b").length).toBeGreaterThanOrEqual(2);
});

test("a tag that is not UTF-8, and one that is not granted, are refused each time", () => {
  const targets = new Targets(openHub().hub, new TargetPlaces());
  const denied = identityOf({ grants: { "other/#": ["publish"] } });
  const bytes = Buffer.from("plant/1");
  for (let i = 0; i < 2; i++) {
    expect(() => targets.find(identityOf(), new Uint8Array([0xff, 0x61]), 0, 2)).toThrow(
      new ProtocolError(errors.invalidTag),
    );
    expect(() => targets.find(denied, bytes, 0, bytes.length)).toThrow(new ProtocolError(errors.denied));
  }
});

test("a session that publishes to a thousand tags in turn knows nearly all of them", () => {
  const { hub, asked } = openHub();
  const targets = new Targets(hub, new TargetPlaces());
  for (let tag = 0; tag < 1000; tag++) find(targets, `plant/joint/${tag}`);
  asked.length = 0;
  for (let tag = 0; tag < 1000; tag++) find(targets, `plant/joint/${tag}`);
  expect(asked.length).toBeLessThan(100);
});

test("what all sessions remember of tags is bounded: tables do not grow beyond it, and give back what they took", () => {
  const { hub, asked } = openHub();
  const budget = new TargetPlaces(64);
  const greedy = new Targets(hub, budget);
  for (let tag = 0; tag < 1000; tag++) find(greedy, `plant/${tag}`);
  expect(budget.used).toBe(56);
  const other = new Targets(hub, budget);
  asked.length = 0;
  for (let round = 0; round < 10; round++) for (let tag = 0; tag < 4; tag++) find(other, `plant/${tag}`);
  expect(asked.length).toBeLessThan(20);
  for (let tag = 0; tag < 1000; tag++) find(other, `plant/${tag}`);
  expect(budget.used).toBeLessThanOrEqual(64);
  greedy.close();
  other.close();
  expect(budget.used).toBe(0);
});
