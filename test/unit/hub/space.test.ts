import { describe, expect, test } from "bun:test";
import { PendingBatch } from "../../../src/hub/publishing.ts";
import { LocalLog } from "../../../src/hub/local-log.ts";
import { Space } from "../../../src/hub/space.ts";
import { app, keeps } from "./support.ts";

const idleTagsMax = 65_536;

function spaceOf(): Space {
  return new Space(app, [keeps("log/#", { size: 1 })]);
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
    expect(space.forgot).toBe(false);
    for (let i = 0; i < idleTagsMax; i++) space.tag(`${i}`);
    expect([named, pending, lagging, idle].map((state) => state!.forgotten)).toEqual([false, false, false, true]);
    expect([space.find("idle"), space.tag("named"), space.forgot]).toEqual([null, named!, true]);
    expect(space.tag("idle")).not.toBe(idle!);
  });
});
