import { describe, expect, test } from "bun:test";
import { liveOnly } from "../../../src/core/tag-rule.ts";
import { PendingBatch } from "../../../src/hub/publishing.ts";
import { LocalLog } from "../../../src/hub/local-log.ts";
import { knownTopsMax } from "../../../src/hub/known-tops.ts";
import { Space } from "../../../src/hub/space.ts";
import { app, keeps } from "./support.ts";

const tagsMax = 65_536;

function spaceOf(): Space {
  return new Space(app, [keeps("log/#", { size: 1 })], { tagsMax });
}

describe("A space", () => {
  test("knows of each tag which topics match it, as wildcards come and go", () => {
    const space = spaceOf();
    const state = space.tag("a/b");
    const names = () => state.topics.map(({ pattern }) => pattern).sort();
    expect(names()).toEqual([]);
    const exact = space.topic("a/b", false);
    const [plus, rest] = [space.topic("a/+", true), space.topic("#", true)];
    space.topic("b/#", true);
    expect([names(), space.topicCount]).toEqual([["#", "a/+", "a/b"], 4]);
    expect([space.topic("a/b", false), space.topic("a/+", true)]).toEqual([exact, plus]);
    space.removeTopic(plus);
    space.removeTopic(exact);
    expect([names(), state.exact]).toEqual([["#"], null]);
    space.removeTopic(rest);
    expect([names(), space.topicCount]).toEqual([[], 1]);
  });

  test("finds the rule of a tag: the first that covers it", () => {
    const space = spaceOf();
    expect([space.tag("log/a").keepsLog, space.tag("a").keepsLog, space.find("b")]).toEqual([true, false, null]);
  });

  test("lets go of a log when the last topic that matches its tag goes", () => {
    const space = spaceOf();
    const state = space.tag("log/a");
    const [exact, wild] = [space.topic("log/a", false), space.topic("log/+", true)];
    state.log = new LocalLog("live", 1, 1);
    space.removeTopic(exact);
    expect([state.log === null, [...space.logged()].map(({ tag }) => tag)]).toEqual([false, ["log/a"]]);
    space.removeTopic(wild);
    expect([state.log === null, [...space.logged()].length]).toEqual([true, 0]);
  });

  test("forgets tags that nobody needs, beyond a bound, and says so to who still holds them", () => {
    const space = spaceOf();
    const [named, pending, lagging, idle] = ["named", "pending", "log/lagging", "idle"].map((tag) => space.tag(tag));
    space.topic("named", false);
    pending!.pending = new PendingBatch(pending!);
    lagging!.log = new LocalLog("live", 1, 1);
    lagging!.log.attach({ bytes: 0 });
    for (let i = 0; i < tagsMax; i++) space.tag(`${i}`);
    expect([named, pending, lagging, idle].map((state) => state!.forgotten)).toEqual([false, false, false, true]);
    expect([space.find("idle"), space.tag("named")]).toEqual([null, named!]);
    expect(space.tag("idle")).not.toBe(idle!);
  });

  test("knows how far the log of a forgotten tag was served, for those who have listened since", () => {
    const space = new Space(app, [keeps("log/#", { size: 1 })], { tagsMax: 1 });
    const forget = () => {
      for (let i = 0; i < 4; i++) space.tag(`${i}`);
    };
    const all = space.topic("#", true);
    space.tag("log/a").log = new LocalLog("live", 7, 3);
    forget();
    expect([space.find("log/a"), space.known("log/a")]).toMatchObject([null, { epoch: 7, top: 3 }]);
    expect(space.tag("log/a").log).toMatchObject({ state: "live", epoch: 7, top: 3 });
    expect([...space.logged()].map(({ tag }) => tag)).toEqual(["log/a"]);
    forget();
    // Whoever came later does not know, once those who were there have gone.
    const later = space.topic("log/+", true);
    space.removeTopic(all);
    expect([space.known("log/a"), space.tag("log/a").log]).toEqual([null, null]);
    space.remember("log/a", { epoch: 7, top: 4 });
    expect(space.known("log/a")).toMatchObject({ epoch: 7, top: 4 });
    space.removeTopic(later);
    expect([space.known("log/a"), space.forgottenLogs.size]).toEqual([null, 0]);
  });

  test("says so when it cannot know any more, until nobody needs to", () => {
    const space = spaceOf();
    const wild = space.topic("log/#", true);
    wild.listedAll = true;
    for (let i = 0; i < knownTopsMax; i++) space.remember(`log/${i}`, { epoch: 1, top: 1 });
    expect(space.wasEmpty([wild])).toBe(true);
    space.remember("log/more", { epoch: 1, top: 1 });
    expect([space.wasEmpty([wild]), space.known("log/0"), space.known("log/1")?.top]).toEqual([false, null, 1]);
    space.removeTopic(wild);
    const next = space.topic("log/+", true);
    next.listedAll = true;
    expect(space.wasEmpty([next])).toBe(true);
  });

  test("finds the logs near a pattern by their first level", () => {
    const space = spaceOf();
    space.topic("#", true);
    for (const tag of ["log/a", "log", "other/a"]) space.tag(tag).log = new LocalLog("live", 1, 1);
    const near = (pattern: string) => [...space.logged(pattern)].map(({ tag }) => tag).sort();
    expect([near("log/#"), near("log/+"), near("none/#")]).toEqual([["log", "log/a"], ["log", "log/a"], []]);
    expect([near("+/a"), near("#")]).toEqual([
      ["log", "log/a", "other/a"],
      ["log", "log/a", "other/a"],
    ]);
  });

  test("knows what a pattern may match", () => {
    const local = { ...liveOnly, pattern: "log/here/#", local: true };
    const space = new Space(app, [local, keeps("log/#", { size: 1 }), keeps("+/kept", { size: 1 })]);
    const of = (pattern: string) => [space.mayKeepLog(pattern), space.mayRelay(pattern)];
    expect(["log/here/a", "log/here/+", "log/a", "log/+", "a/kept", "a/+", "a/b", "#"].map(of)).toEqual([
      [false, false],
      [false, false],
      [true, false],
      [true, false],
      [true, false],
      [true, true],
      [false, true],
      [true, true],
    ]);
  });
});
