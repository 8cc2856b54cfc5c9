/** Several instances on one Redis: one order for all, and each hears what it asked for, once. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { body, draft, main, numbers, offsets, roomy, text, texts } from "../../contract/broker/kit.ts";
import { RedisServer } from "../../harness/redis.ts";
import { eventually, Instance } from "../../harness/redis-broker.ts";

const redis = await RedisServer.start();
afterAll(() => redis[Symbol.asyncDispose]());
beforeEach(() => redis.flush());

describe("Two instances", () => {
  test("see the messages of each log in one order, whoever appends", async () => {
    await using one = await Instance.start(redis.url);
    await using two = await Instance.start(redis.url);
    const instances = [one, two];
    await one.broker.subscribe(main, "#");
    await two.broker.subscribe(main, "a/+");
    let run = 0;
    const tags = ["x", "y", "z"];
    const turn = fc.record({
      by: fc.nat(1),
      batches: fc.array(fc.record({ tag: fc.nat(tags.length - 1), size: fc.integer({ min: 1, max: 5 }) }), {
        minLength: 1,
        maxLength: 4,
      }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { minLength: 1, maxLength: 20 }), async (turns) => {
        run++;
        const name = (tag: number) => `a/${run}-${tags[tag]}`;
        let count = 0;
        const sent = new Map<string, string[]>();
        const answers = turns.map(async ({ by, batches }) =>
          instances[by]!.broker.append(
            batches.map(({ tag, size }) => {
              const drafts = numbers(1, size).map(() => draft(`${by} ${++count}`));
              sent.set(name(tag), [...(sent.get(name(tag)) ?? []), ...drafts.map(({ body: one }) => text(one))]);
              return { app: main, tag: name(tag), rule: roomy, drafts };
            }),
          ),
        );
        await Promise.all(answers);
        for (const [tag, all] of sent) {
          const log = texts((await one.read(tag)).messages);
          expect(log.toSorted()).toEqual(all.toSorted());
          for (const { feed } of instances) {
            await feed.until(() => feed.seen(tag).length === all.length);
            expect(texts(feed.seen(tag))).toEqual(log);
            expect(offsets(feed.seen(tag))).toEqual(numbers(1, all.length));
          }
          // In the order of each publisher.
          for (const by of ["0", "1"]) {
            expect(log.filter((said) => said[0] === by)).toEqual(all.filter((said) => said[0] === by));
          }
        }
      }),
      { numRuns: 25 },
    );
    expect([one.feed.violations, two.feed.violations]).toEqual([[], []]);
  });

  test("take an idempotency key once", async () => {
    await using one = await Instance.start(redis.url);
    await using two = await Instance.start(redis.url);
    const answers = await Promise.all(
      numbers(1, 20).map((n) => (n % 2 === 0 ? one : two).append("t", [draft(`m${n}`, "k")])),
    );
    const positions = answers.flatMap((answer) => answer.positions ?? []);
    expect(positions.filter(({ repeated }) => !repeated)).toHaveLength(1);
    expect(new Set(positions.map(({ epoch, offset }) => `${epoch} ${offset}`)).size).toBe(1);
  });

  test("relay live-only messages to each other, in order, and not to themselves", async () => {
    await using one = await Instance.start(redis.url);
    await using two = await Instance.start(redis.url);
    for (const { broker } of [one, two]) {
      await broker.subscribe(main, "live/t");
      await broker.subscribe(main, "live/#");
    }
    for (const n of numbers(1, 300)) one.broker.relay(main, n % 3 === 0 ? "live/u" : "live/t", body(`m${n}`));
    one.broker.relay("other", "live/t", body("elsewhere"));
    one.broker.relay(main, "unheard", body("unheard"));
    await two.feed.until(() => two.feed.relayedTexts.length >= 300);
    for (const tag of ["live/t", "live/u"]) {
      const said = two.feed.relayedTexts.filter(([of]) => of === tag).map(([, of]) => Number(of.slice(1)));
      expect(said).toEqual(numbers(1, 300).filter((n) => (n % 3 === 0) === (tag === "live/u")));
    }
    expect(one.feed.relayedTexts).toEqual([]);
  });

  test("hear each message once while a channel takes over from another", async () => {
    await using one = await Instance.start(redis.url);
    await using two = await Instance.start(redis.url);
    await two.broker.subscribe(main, "a/b/c");
    let sent = 0;
    const send = () => one.broker.relay(main, "a/b/c", body(`m${++sent}`));
    const patterns = ["a/b/#", "a/#", "#", "+/b/c"];
    for (const pattern of patterns) {
      const answer = two.broker.subscribe(main, pattern);
      for (let i = 0; i < 20; i++) {
        send();
        await Promise.resolve();
      }
      await answer;
      send();
    }
    for (const pattern of patterns.toReversed()) {
      two.broker.unsubscribe(main, pattern);
      for (let i = 0; i < 20; i++) {
        send();
        await new Promise(setImmediate);
      }
    }
    // Interest ends after a second or two, and until then by what is confirmed.
    const quiet = () => two.broker.stats().bridge.channels === 1;
    while (!quiet()) {
      send();
      await new Promise((done) => setTimeout(done, 20));
    }
    send();
    await eventually(() => two.feed.relayedTexts.length >= sent, "everything has arrived");
    expect(two.feed.relayedTexts.map(([, said]) => said)).toEqual(numbers(1, sent).map((n) => `m${n}`));
  }, 20_000);

  test("tell each other of members, and end those of an instance that stops", async () => {
    await using one = await Instance.start(redis.url);
    const two = await Instance.start(redis.url);
    await one.broker.subscribe(main, "t/#");
    await two.broker.join(main, "t/1", { client: "anna", generation: 1, info: new Uint8Array([0xc3]) });
    await one.feed.until(() => one.feed.presenceEvents.length === 1);
    expect(one.feed.presenceEvents[0]).toMatchObject({
      tag: "t/1",
      count: 1,
      joined: [{ client: "anna", generation: 1 }],
    });
    expect([...(one.feed.presenceEvents[0]?.joined[0]?.info ?? [])]).toEqual([0xc3]);
    await two.broker.stop();
    await one.feed.until(() => one.feed.presenceEvents.length === 2);
    expect(one.feed.presenceEvents[1]).toMatchObject({ count: 0, left: [{ client: "anna" }] });
  });

  // Tags with the same first level are ended by one call, and only the first of them was told.
  test("hear that members of one that stops have left each of the tags they were in", async () => {
    await using one = await Instance.start(redis.url);
    const two = await Instance.start(redis.url);
    await one.broker.subscribe(main, "t/#");
    const tags = numbers(1, 40).map((n) => `t/${n}`);
    await Promise.all(tags.map((tag) => two.broker.join(main, tag, { client: "anna", generation: 1, info: null })));
    await one.feed.until(() => one.feed.presenceEvents.length === tags.length);
    await two.broker.stop();
    await one.feed.until(() => one.feed.presenceEvents.length === 2 * tags.length);
    const left = one.feed.presenceEvents.filter((event) => event.left.length === 1).map(({ tag }) => tag);
    expect(left.toSorted()).toEqual(tags.toSorted());
  });

  // The second was told at once, and what was published until the first was confirmed came to nobody.
  test("who subscribes again while that is under way is not told sooner", async () => {
    await using one = await Instance.start(redis.url);
    // What it listens on brings the tag already: nothing but the confirmation is waited for.
    await one.broker.subscribe(main, "t/+/x");
    const told: string[] = [];
    const first = one.broker.subscribe(main, "t/1").then(() => told.push("first"));
    one.broker.unsubscribe(main, "t/1");
    const second = one.broker.subscribe(main, "t/1").then(() => told.push("second"));
    await Promise.all([first, second]);
    expect(told).toEqual(["first", "second"]);
  });

  test("hear what there is to hear, and no more", async () => {
    await using one = await Instance.start(redis.url);
    await using two = await Instance.start(redis.url);
    await two.broker.subscribe(main, "wanted/t");
    await one.append("wanted/t", ["a"]);
    for (const n of numbers(1, 50)) await one.append(`unwanted/${n}`, ["b"]);
    await one.append("wanted/t", ["c"]);
    await two.feed.until(() => two.feed.seen("wanted/t").length === 2);
    expect(two.broker.stats().bridge.packets).toBe(2);
  });

  test("pass over announcements of a version that they do not know", async () => {
    await using one = await Instance.start(redis.url);
    await one.broker.subscribe(main, "#");
    await redis.command("PUBLISH", "tc1:f:main", "\u0002 from a later version");
    await redis.command("PUBLISH", "tc1:f:main", "\u0001too short");
    await one.append("t", ["a"]);
    await one.feed.until(() => one.feed.seen("t").length === 1);
    expect(one.broker.stats().bridge.unknown).toBe(1);
  });
});
