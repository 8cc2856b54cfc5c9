/** Scenarios on servers and networks that hang, crawl and stop. */
import type { Message } from "../../../src/client/client.ts";
import { check, equal, within } from "./checks.ts";
import { type Scenario, state } from "./stage.ts";

/** Time that passes twenty times as fast, for heartbeats and deadlines. */
const haste = 20;
const hasty = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now() * haste,
  after(delayMs: number, run: () => void) {
    const timer = setTimeout(run, delayMs / haste);
    return { cancel: () => clearTimeout(timer) };
  },
};

export const network: readonly Scenario[] = [
  {
    name: "a server that was paused goes on where it was",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const seen = await stage.watch(client, "log/a");
      await client.publish("log/a", { n: 1 });
      await stage.control("freeze");
      const published = [2, 3, 4].map((n) => client.publish("log/a", { n }));
      equal(client.unacknowledged, 3, "the publishes that wait");
      await stage.control("thaw");
      const answers = await within(Promise.all(published), "the acknowledgements");
      equal(
        answers.map(({ position, repeated }) => [position?.offset, repeated]),
        [
          [2, false],
          [3, false],
          [4, false],
        ],
      );
      await seen.until("log/a", 4);
      seen.judgeWhole("log/a", 1, 4);
    },
  },
  {
    name: "a server that hangs is noticed and left, and nothing is missing when it is back",
    async run(stage) {
      await stage.open();
      const client = stage.connect({ timers: hasty, ping: 10, backoff: { minMs: 200, maxMs: 2000 } });
      const seen = await stage.watch(client, "log/a");
      await stage.publish("log/a", 1, 3);
      await seen.until("log/a", 3);
      const left = state(client, "waiting");
      await stage.control("freeze");
      await left;
      const published = client.publish("log/a", { n: 4 });
      const back = state(client, "active");
      await stage.control("thaw");
      await back;
      await within(published, "the acknowledgement");
      await stage.publish("log/a", 5, 6);
      await seen.until("log/a", 6);
      seen.judgeWhole("log/a", 1, 6);
    },
  },
  {
    name: "a connection that is silent in one direction is noticed and left",
    async run(stage) {
      await stage.open();
      const client = stage.connect({ timers: hasty, ping: 10, backoff: { minMs: 200, maxMs: 2000 } });
      const seen = await stage.watch(client, "log/a");
      const left = state(client, "waiting");
      await stage.control("lose", "down");
      await stage.publish("log/a", 1, 3);
      await left;
      await stage.control("mend");
      await seen.until("log/a", 3);
      seen.judgeWhole("log/a", 1, 3);
    },
  },
  {
    name: "a stalled connection gets its logs whole once it flows again",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "log/a");
      await stage.publish("log/a", 1, 5);
      await seen.until("log/a", 5);
      await stage.control("hold", "down");
      await stage.publish("log/a", 6, 300, 48 * 1024);
      await stage.control("mend");
      await seen.until("log/a", 300);
      seen.judgeWhole("log/a", 1, 300);
    },
  },
  {
    name: "a stalled connection is told which live messages it missed",
    async run(stage) {
      await stage.open();
      const seen = await stage.watch(stage.connect(), "live/a");
      await stage.publish("live/a", 1, 1);
      await seen.until("live/a", 1);
      await stage.control("hold", "down");
      await stage.publish("live/a", 2, 300, 48 * 1024);
      await stage.control("mend");
      await seen.holds(() => seen.gaps.length > 0, "the gap");
      await stage.publish("live/a", 301, 301);
      await seen.until("live/a", 301);
      seen.judge("live/a", 1, 301);
      equal(
        seen.gaps.map(({ reason, code }) => [reason, code]),
        [["told", 200]],
        "the gaps",
      );
      check(
        (seen.gaps[0]?.count ?? 0) === 301 - seen.messages.length,
        `the gap counts what is missing: ${seen.told()}`,
      );
    },
  },
  {
    name: "over a slow and late line all arrives, both ways",
    async run(stage) {
      await stage.open();
      await stage.control("slow", { bytesPerSecond: 200_000, delayMs: 30 });
      const client = stage.connect();
      const seen = await stage.watch(client, "log/a");
      const filler = "x".repeat(1000);
      const published = Array.from({ length: 40 }, (_, i) => client.publish("log/a", { n: i + 1, filler }));
      await within(Promise.all(published), "the acknowledgements");
      await stage.publish("log/a", 41, 80, 2000);
      await stage.control("drop");
      await seen.until("log/a", 80);
      seen.judgeWhole("log/a", 1, 80);
    },
  },
  {
    name: "a server that is restarted in good order is come back to",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const seen = await stage.watch(client, "log/a");
      await stage.publish("log/a", 1, 2);
      await seen.until("log/a", 2);
      const errors: unknown[] = [];
      client.on("error", ({ kind, code }) => errors.push([kind, code]));
      const left = state(client, "waiting");
      await stage.control("stop");
      await left;
      equal(errors[0], ["disconnected", 3000], "what the client was told");
      const back = state(client, "active");
      await stage.control("start");
      await back;
      await stage.publish("log/a", 3, 3);
      await seen.until("log/a", 3);
      seen.judge("log/a", 1, 3);
    },
  },
  {
    name: "large messages arrive whole, in their order among small ones",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const got: Message<{ n: number; bytes: Uint8Array }>[] = [];
      const done = Promise.withResolvers<void>();
      const sizes = [10, 1_000_000, 3, 70_000, 500_000, 0];
      const subscription = client.subscribe<{ n: number; bytes: Uint8Array }>("log/a", (message) => {
        got.push(message);
        if (got.length === sizes.length) done.resolve();
      });
      await subscription.ready;
      await Promise.all(sizes.map((size, n) => client.publish("log/a", { n, bytes: new Uint8Array(size).fill(n) })));
      await within(done.promise, "all messages");
      equal(
        got.map(({ payload }) => [payload.n, payload.bytes.length]),
        sizes.map((size, n) => [n, size]),
      );
      check(
        got.every(({ payload }) => payload.bytes.every((byte) => byte === payload.n)),
        "the bytes are those sent",
      );
    },
  },
];
