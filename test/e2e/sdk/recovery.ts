/** Scenarios on recovery: connections are cut, servers killed, and nothing is missing without a word. */
import { check, equal, numbers, type Numbered } from "./checks.ts";
import { type Scenario, state } from "./stage.ts";
import { Witness } from "./witness.ts";

export const recovery: readonly Scenario[] = [
  {
    name: "a log arrives whole while the connection is cut again and again",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "log/a");
      let n = 0;
      for (let round = 0; round < 6; round++) {
        const first = stage.publish("log/a", n + 1, n + 40);
        await seen.holds(() => seen.numbers("log/a").length > n, "a message before the cut");
        await stage.control("drop");
        await first;
        n += 40;
      }
      await seen.until("log/a", n);
      seen.judgeWhole("log/a", 1, n);
    },
  },
  {
    name: "what was published while a client was away arrives when it is back",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const seen = await stage.watch(client, "log/a");
      await stage.publish("log/a", 1, 3);
      await seen.until("log/a", 3);
      await stage.control("cut");
      await stage.publish("log/a", 4, 1500);
      const back = state(client, "active");
      await stage.control("mend");
      await back;
      await seen.until("log/a", 1500);
      seen.judgeWhole("log/a", 1, 1500);
      equal(seen.subscription.position?.offset, 1500, "the position");
    },
  },
  {
    name: "a log that was trimmed meanwhile is told as a gap, and what it still holds follows",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "short/a");
      await stage.publish("short/a", 1, 2);
      await seen.until("short/a", 2);
      await stage.control("cut");
      await stage.publish("short/a", 3, 20);
      await stage.control("mend");
      await seen.until("short/a", 20);
      seen.judge("short/a", 1, 20);
      const [gap, ...more] = seen.gaps;
      equal({ tag: gap?.tag, from: gap?.from, to: gap?.to }, { tag: "short/a", from: 3, to: 15 }, "the gap");
      equal(more.length, 0, "the number of further gaps");
      equal(seen.numbers("short/a"), [1, 2, 16, 17, 18, 19, 20], "what arrived");
    },
  },
  {
    name: "a killed server whose log is lost is told as a gap, and the new log is followed",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const seen = await stage.watch(client, "log/a");
      await stage.publish("log/a", 1, 5);
      await seen.until("log/a", 5);
      const before = seen.subscription.position?.epoch;
      await stage.control("kill");
      await stage.control("start");
      await stage.publish("log/a", 6, 10);
      await seen.until("log/a", 10);
      seen.judge("log/a", 1, 10);
      equal(seen.gaps.length, 1, "the number of gaps");
      const position = seen.subscription.position;
      equal(position?.offset, 5, "the offset in the new log");
      check(position?.epoch !== before, "the epoch is another one");
      equal(seen.gaps[0]?.epoch, position?.epoch, "the epoch of the gap");
    },
  },
  {
    name: "through wildcards each log is recovered, and logs that appeared meanwhile are read whole",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      await stage.publish("log/a", 1, 3);
      const seen = await stage.watch(client, "log/#");
      await stage.publish("log/a", 4, 6);
      await stage.publish("log/b", 1, 2);
      await seen.until("log/b", 2);
      await stage.control("cut");
      await stage.publish("log/a", 7, 50);
      await stage.publish("log/c/d", 1, 2000, 100);
      await stage.publish("log/e", 1, 1);
      await stage.control("mend");
      // Some of these come live, while the log before them is still being read.
      await seen.holds(() => seen.numbers("log/c/d").length > 0, "the first page of the new log");
      await stage.publish("log/c/d", 2001, 2010);
      await seen.until("log/c/d", 2010);
      await seen.until("log/a", 50);
      await seen.until("log/e", 1);
      seen.judgeWhole("log/a", 4, 50);
      seen.judgeWhole("log/b", 1, 2);
      seen.judgeWhole("log/c/d", 1, 2010);
      check(
        seen.messages.every(({ pattern, position }) => pattern === "log/#" && position !== null),
        "every message names the pattern and has a position",
      );
    },
  },
  {
    name: "through wildcards logs lost with a killed server are told, tag by tag",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "log/+");
      await stage.publish("log/a", 1, 3);
      await stage.publish("log/b", 1, 3);
      await seen.until("log/b", 3);
      await stage.control("kill");
      await stage.control("start");
      await stage.publish("log/a", 4, 6);
      await stage.publish("log/b", 4, 6);
      await seen.until("log/a", 6);
      await seen.until("log/b", 6);
      seen.judge("log/a", 1, 6);
      seen.judge("log/b", 1, 6);
      const told = new Set(seen.gaps.map(({ tag }) => tag));
      check(told.has("log/a") && told.has("log/b"), `both tags are told: ${seen.told()}`);
    },
  },
  {
    name: "a new client goes on at a stored position",
    async run(stage) {
      await stage.open();
      const first = stage.connect();
      const seen = await stage.watch(first, "log/a");
      await stage.publish("log/a", 1, 5);
      await seen.until("log/a", 5);
      const [, , third] = seen.messages;
      first.close();
      await stage.publish("log/a", 6, 8);
      const position = third?.position ?? null;
      check(position !== null, "messages have a position");
      const again = await stage.watch(stage.connect(), "log/a", { since: position });
      await again.until("log/a", 8);
      again.judgeWhole("log/a", 4, 8);
    },
  },
  {
    name: "the newest messages come first where they are asked for, and not again after a cut",
    async run(stage) {
      await stage.open();
      await stage.publish("log/a", 1, 10);
      await stage.publish("kept/a", 1, 3);
      const client = stage.connect();
      const last = await stage.watch(client, "log/a", { last: 4 });
      const kept = await stage.watch(client, "kept/a");
      await last.until("log/a", 10);
      await kept.until("kept/a", 3);
      await stage.control("drop");
      await stage.publish("log/a", 11, 12);
      await stage.publish("kept/a", 4, 4);
      await last.until("log/a", 12);
      await kept.until("kept/a", 4);
      last.judgeWhole("log/a", 7, 12);
      kept.judgeWhole("kept/a", 3, 4);
    },
  },
  {
    name: "several subscriptions hold together through cuts, kills and restarts in a row",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const logs = await stage.watch(client, "log/+");
      const one = await stage.watch(client, "log/b");
      const short = await stage.watch(client, "short/a");
      const troubles = ["drop", "kill", "drop", "stop", "drop"] as const;
      const publish = (from: number, to: number) =>
        Promise.all(["log/a", "log/b", "short/a"].map((tag) => stage.publish(tag, from, to)));
      let n = 0;
      for (const trouble of troubles) {
        await publish(n + 1, n + 20);
        n += 20;
        if (trouble === "drop") {
          await stage.control("drop");
          continue;
        }
        await stage.control(trouble);
        await stage.control("start");
      }
      await publish(n + 1, n + 20);
      n += 20;
      for (const [seen, tag] of [
        [logs, "log/a"],
        [logs, "log/b"],
        [one, "log/b"],
        [short, "short/a"],
      ] as const) {
        await seen.until(tag, n);
        seen.judge(tag, 1, n);
      }
      check(one.gaps.length <= 2, `no more gaps than lost logs: ${one.told()}`);
    },
  },
  {
    name: "live messages missed while away are told as a gap through wildcards, and on a tag",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const tag = await stage.watch(client, "live/a");
      const wild = await stage.watch(client, "live/+");
      await stage.publish("live/a", 1, 2);
      await tag.until("live/a", 2);
      await wild.until("live/a", 2);
      await stage.control("cut");
      await stage.publish("live/a", 3, 4);
      const back = state(client, "active");
      await stage.control("mend");
      await back;
      await tag.holds(() => tag.gaps.length > 0, "the gap of the tag");
      await wild.holds(() => wild.gaps.length > 0, "the gap of the pattern");
      await stage.publish("live/a", 5, 6);
      await tag.until("live/a", 6);
      await wild.until("live/a", 6);
      tag.judge("live/a", 1, 6);
      wild.judge("live/a", 1, 6);
      equal(
        [tag.gaps, wild.gaps].map((gaps) => gaps.map(({ reason }) => reason)),
        [["away"], ["away"]],
        "the gaps",
      );
    },
  },
  {
    name: "a subscription that has ended hands on nothing more",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const ended = await stage.watch(client, "log/a");
      const other = await stage.watch(client, "log/#");
      await stage.publish("log/a", 1, 2);
      await ended.until("log/a", 2);
      await ended.subscription.unsubscribe();
      await stage.control("drop");
      await stage.publish("log/a", 3, 4);
      await other.until("log/a", 4);
      equal(ended.numbers("log/a"), [1, 2], "what the ended subscription had");
      equal(await ended.subscription.ended, null, "why it ended");
      const again = new Witness();
      again.attach(client.subscribe<Numbered>("log/a", (message) => again.take(message)));
      await again.subscription.ready;
      await stage.publish("log/a", 5, 5);
      await again.until("log/a", 5);
      again.judgeWhole("log/a", 5, 5);
    },
  },
  {
    name: "hundreds of subscriptions are recovered together",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const tags = numbers(1, 300).map((i) => `log/${i}`);
      const watched = await Promise.all(tags.map((tag) => stage.watch(client, tag)));
      await stage.control("cut");
      await Promise.all(tags.map((tag) => stage.publish(tag, 1, 2)));
      await stage.control("mend");
      await Promise.all(watched.map((seen, i) => seen.until(tags[i] ?? "", 2)));
      watched.forEach((seen, i) => seen.judgeWhole(tags[i] ?? "", 1, 2));
    },
  },
  {
    name: "more logs behind one pattern than an answer lists are all recovered",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "log/+");
      const tags = numbers(1, 600).map((i) => `log/${i}`);
      const publish = (n: number) => Promise.all(tags.map((tag) => stage.publish(tag, n, n)));
      await publish(1);
      await seen.holds(() => seen.messages.length === 600, "the first message of each");
      await stage.control("cut");
      await publish(2);
      await stage.control("mend");
      await seen.holds(() => seen.messages.length >= 1200, "the second message of each");
      await publish(3);
      await seen.holds(() => seen.messages.length >= 1800, "the third message of each");
      for (const tag of tags) equal(seen.numbers(tag), [1, 2, 3], `what arrived of ${tag}`);
      // That there may be tags beyond those listed cannot be ruled out.
      check(
        seen.gaps.every(({ tag, reason }) => tag === "log/+" && reason === "away"),
        `no tag has a gap: ${seen.told()}`,
      );
    },
  },
];
