/** Scenarios on publishing: acknowledged once, however often the connection breaks. */
import { type Published, TagcastError } from "../../../src/client/client.ts";
import { check, equal, failure, numbers, within } from "./checks.ts";
import { type Scenario, state } from "./stage.ts";

export const publishing: readonly Scenario[] = [
  {
    name: "publishes whose answers were lost are published once",
    async run(stage) {
      await stage.open();
      const reader = stage.connect();
      const seen = await stage.watch(reader, "log/a");
      const publisher = stage.connect();
      await publisher.ready();
      await reader.flush();
      // Both lose what comes to them: the server has the messages, the publisher no answer.
      await stage.control("lose", "down");
      const published = numbers(1, 30).map((n) => publisher.publish("log/a", { n }));
      await stage.publish("log/other", 1, 1);
      const back = state(publisher, "active");
      await stage.control("drop");
      await stage.control("mend");
      await back;
      const answers = await within(Promise.all(published), "the acknowledgements");
      equal(
        answers.map(({ position }) => position?.offset),
        numbers(1, 30),
        "the positions",
      );
      equal(publisher.unacknowledged, 0, "the publishes that wait");
      await seen.until("log/a", 30);
      seen.judgeWhole("log/a", 1, 30);
    },
  },
  {
    name: "a stream of publishes over cut after cut is acknowledged and delivered once, in order",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "log/a");
      const publisher = stage.connect();
      const answers: Promise<Published>[] = [];
      for (let round = 0; round < 6; round++) {
        for (const n of numbers(round * 50 + 1, round * 50 + 50)) answers.push(publisher.publish("log/a", { n }));
        await stage.control("drop");
      }
      const settled = await within(Promise.all(answers), "the acknowledgements");
      equal(
        settled.map(({ position }) => position?.offset),
        numbers(1, 300),
        "the positions",
      );
      await seen.until("log/a", 300);
      seen.judgeWhole("log/a", 1, 300);
    },
  },
  {
    name: "publishes wait for a killed server to be back",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const seen = await stage.watch(client, "log/a");
      await client.publish("log/a", { n: 1 });
      await seen.until("log/a", 1);
      const lost = state(client, "waiting");
      await stage.control("kill");
      await lost;
      const published = numbers(2, 10).map((n) => client.publish("log/a", { n }));
      await stage.control("start");
      const answers = await within(Promise.all(published), "the acknowledgements");
      equal(
        answers.map(({ position, repeated }) => [position?.offset, repeated]),
        numbers(1, 9).map((n) => [n, false]),
      );
      await seen.until("log/a", 10);
      seen.judge("log/a", 1, 10);
    },
  },
  {
    name: "the queue of a client without a connection is bounded, and sent in order",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "log/a");
      const client = stage.connect({ queueMaxMessages: 20 });
      await client.ready();
      const lost = state(client, "waiting");
      await stage.control("cut");
      await lost;
      const queued = numbers(1, 20).map((n) => client.publish("log/a", { n }));
      equal(await failure(client.publish("log/a", { n: 21 })), { kind: "queue-full", code: null, retry: true });
      await stage.control("mend");
      await within(Promise.all(queued), "the acknowledgements");
      await within(client.publish("log/a", { n: 21 }), "the next acknowledgement");
      await seen.until("log/a", 21);
      seen.judgeWhole("log/a", 1, 21);
      const small = stage.connect({ queueMaxBytes: 3000 });
      const first = small.publish("log/a", { n: 22, filler: "x".repeat(2500) });
      equal((await failure(small.publish("log/a", { n: 23, filler: "x".repeat(2500) }))).kind, "queue-full");
      await within(first, "the acknowledgement of what had room");
    },
  },
  {
    name: "several tags are published to at once, over a cut",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const logs = await stage.watch(client, "log/+");
      await stage.control("cut");
      const published = client.publish(["log/a", "log/b", "live/c", "log/c"], { n: 1 });
      await stage.control("mend");
      const outcomes = await within(published, "the answer");
      const offsets = [...outcomes].map(([tag, outcome]) => [
        tag,
        outcome instanceof TagcastError ? outcome.code : (outcome.position?.offset ?? null),
      ]);
      equal(offsets, [
        ["log/a", 1],
        ["log/b", 1],
        ["live/c", null],
        ["log/c", 1],
      ]);
      await logs.until("log/c", 1);
      const ids = new Set(logs.messages.map(({ meta }) => meta?.id));
      check(ids.size === 1 && !ids.has(undefined), "the copies share an id");
    },
  },
  {
    name: "what the server refuses is told with its code, and the rest goes on",
    async run(stage) {
      await stage.open();
      const client = stage.connect({ token: await stage.sign({ lifeMs: 60_000, grants: { "log/#": ["readwrite"] } }) });
      equal(await failure(client.publish("other/a", 1)), { kind: "refused", code: 103, retry: false });
      equal(await failure(client.publish("log/+", 1)), { kind: "refused", code: 108, retry: false });
      equal((await failure(client.publish("log/a", new Uint8Array(2_000_000)))).code, 110);
      equal((await failure(client.history("log/a", { limit: 0 }))).code, 107);
      equal((await failure(client.subscribe("other/#").ready)).code, 103);
      equal((await within(client.publish("log/a", 1), "the acknowledgement")).position?.offset, 1);
      equal(client.state, "active");
    },
  },
  {
    name: "a publish without acknowledgement resolves when it was sent",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const seen = await stage.watch(client, "live/a");
      for (const n of numbers(1, 50))
        equal(await client.publish("live/a", { n }, { ack: false }), { position: null, repeated: false });
      await seen.until("live/a", 50);
      seen.judgeWhole("live/a", 1, 50);
    },
  },
  {
    name: "own messages that are left out leave no gap",
    async run(stage) {
      await stage.open();
      const client = stage.connect({ echo: false });
      const tag = await stage.watch(client, "log/a");
      const wild = await stage.watch(client, "log/#");
      await client.publish("log/a", { n: 1 });
      await client.publish(["log/b", "log/a"], { n: 2 });
      await stage.publish("log/a", 3, 4);
      await client.publish("log/a", { n: 5 });
      await client.publish("log/a", { n: 6 }, { echo: true });
      await tag.until("log/a", 6);
      await wild.until("log/a", 6);
      equal(
        [tag.numbers("log/a"), wild.numbers("log/a")],
        [
          [3, 4, 6],
          [3, 4, 6],
        ],
        "what arrived",
      );
      equal([...tag.gaps, ...wild.gaps], [], "the gaps");
    },
  },
  {
    name: "thousands of publishes at once are acknowledged in order, over a cut",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "log/a");
      const client = stage.connect();
      await client.ready();
      const filler = "x".repeat(500);
      const published = numbers(1, 4000).map((n) => client.publish("log/a", { n, filler }));
      await published[10];
      await stage.control("drop");
      const answers = await within(Promise.all(published), "the acknowledgements");
      equal(
        answers.map(({ position }) => position?.offset),
        numbers(1, 4000),
        "the positions",
      );
      await seen.until("log/a", 4000);
      seen.judgeWhole("log/a", 1, 4000);
    },
  },
  {
    name: "what was published right before closing still leaves",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "log/a");
      const client = stage.connect();
      await client.ready();
      const published = numbers(1, 20).map((n) => failure(client.publish("log/a", { n })));
      client.close();
      equal(new Set((await Promise.all(published)).map(({ kind }) => kind)).size, 1, "the kinds of rejection");
      equal((await published[0])?.kind, "closed");
      await seen.until("log/a", 20);
      seen.judgeWhole("log/a", 1, 20);
      equal(await failure(client.publish("log/a", { n: 21 })), { kind: "closed", code: null, retry: false });
    },
  },
];
