/** Scenarios on reading at the application's own pace: iterators and history. */
import { check, equal, numberOf, numbers, type Numbered, within } from "./checks.ts";
import { type Scenario, state } from "./stage.ts";

export const reading: readonly Scenario[] = [
  {
    name: "an iterator that is read slowly gets its log whole",
    async run(stage) {
      await stage.open();
      const subscription = stage.connect().subscribe<Numbered>("log/a", { bufferMax: 8 });
      await subscription.ready;
      await stage.publish("log/a", 1, 400);
      const read: number[] = [];
      for await (const message of subscription) {
        read.push(numberOf(message));
        if (read.length === 200) await stage.control("drop");
        if (read.length === 400) break;
      }
      equal(read, numbers(1, 400), "what was read");
      equal(await subscription.ended, null);
    },
  },
  {
    name: "an iterator on a pattern that is read slowly gets each log whole",
    async run(stage) {
      await stage.open();
      const subscription = stage.connect().subscribe<Numbered>("log/#", { bufferMax: 8 });
      await subscription.ready;
      await Promise.all(["log/a", "log/b", "log/c/d"].map((tag) => stage.publish(tag, 1, 100)));
      const read = new Map<string, number[]>();
      let count = 0;
      for await (const message of subscription) {
        read.set(message.tag, [...(read.get(message.tag) ?? []), numberOf(message)]);
        if (++count === 300) break;
      }
      for (const tag of ["log/a", "log/b", "log/c/d"]) equal(read.get(tag), numbers(1, 100), `what was read of ${tag}`);
    },
  },
  {
    name: "an iterator that is read slowly is told which live messages it missed",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const subscription = client.subscribe<Numbered>("live/a", { bufferMax: 4 });
      const gaps: string[] = [];
      subscription.on("gap", ({ reason }) => gaps.push(reason));
      const witness = await stage.watch(client, "live/#");
      await stage.publish("live/a", 1, 20);
      await witness.until("live/a", 20);
      const iterator = subscription[Symbol.asyncIterator]();
      const read: unknown[] = [];
      while (read.length < 4) read.push((await within(iterator.next(), "a message")).value?.payload.n);
      equal([read, gaps], [[1, 2, 3, 4], ["overflow"]]);
      await stage.publish("live/a", 21, 21);
      equal((await within(iterator.next(), "the next message")).value?.payload.n, 21);
    },
  },
  {
    name: "an iterator that waits ends when its client is closed",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const subscription = client.subscribe<Numbered>("log/a");
      await subscription.ready;
      const read: number[] = [];
      const first = Promise.withResolvers<void>();
      const reading = (async () => {
        for await (const message of subscription) {
          read.push(numberOf(message));
          first.resolve();
        }
      })();
      await client.publish("log/a", { n: 1 });
      await within(first.promise, "the first message");
      client.close();
      await within(reading, "the end of the iterator");
      equal(read, [1]);
      equal(await client.closed, null);
    },
  },
  {
    name: "history is read page by page, over a cut",
    async run(stage) {
      await stage.open();
      await stage.publish("log/a", 1, 250);
      const client = stage.connect();
      const read: number[] = [];
      for await (const page of client.historyPages<Numbered>("log/a")) {
        read.push(...page.messages.map(numberOf));
        check(
          page.messages.every(({ timeMs }) => Math.abs(timeMs - Date.now()) < 60_000),
          "messages have their time",
        );
        if (read.length !== 100) continue;
        const lost = state(client, "waiting");
        await stage.control("drop");
        await lost;
      }
      equal(read, numbers(1, 250));
      const newest = await client.history<Numbered>("log/a", { last: 2 });
      equal([newest.messages.map(numberOf), newest.more], [[249, 250], false]);
    },
  },
];
