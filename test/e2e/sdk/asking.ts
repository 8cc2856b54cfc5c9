/** Scenarios on clients that know of each other: requests, replies and presence. */
import type { PresenceChange } from "../../../src/client/client.ts";
import { equal, failure, within } from "./checks.ts";
import { type Scenario, state } from "./stage.ts";

export const asking: readonly Scenario[] = [
  {
    name: "requests are answered, also after a cut",
    async run(stage) {
      await stage.open();
      const service = stage.connect();
      const replies: Promise<unknown>[] = [];
      const serving = service.subscribe<number>("ask/double", (question) => {
        replies.push(service.reply(question, question.payload * 2));
      });
      await serving.ready;
      const client = stage.connect();
      const ask = async (value: number) => (await client.request<number>("ask/double", value)).payload;
      equal(await Promise.all([ask(1), ask(2), ask(3)]), [2, 4, 6]);
      const lost = [state(client, "waiting"), state(service, "waiting")];
      const back = [state(client, "active"), state(service, "active")];
      await stage.control("drop");
      await Promise.all(lost);
      await Promise.all(back);
      await service.flush();
      equal(await ask(21), 42);
      await Promise.all(replies);
    },
  },
  {
    name: "a request that nobody answers ends in time, and one over a cut is not repeated",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      equal((await failure(client.request("ask/nobody", 1, { timeoutMs: 50 }))).kind, "timeout");
      const asked = await stage.watch(stage.connect(), "ask/slow");
      const answer = failure(client.request("ask/slow", { n: 1 }));
      await asked.until("ask/slow", 1);
      await stage.control("drop");
      equal((await answer).kind, "disconnected");
      await client.publish("ask/slow", { n: 2 });
      await asked.holds(() => asked.numbers("ask/slow").includes(2) || asked.gaps.length > 0, "the next message");
      equal(
        asked.numbers("ask/slow").filter((n) => n === 1),
        [1],
        "the requests that came",
      );
    },
  },
  {
    name: "presence tells who joins and leaves, and is right again after a cut",
    async run(stage) {
      await stage.open();
      const anna = stage.connect({ client: "anna" });
      const room = anna.subscribe("room/1", { presence: true, info: { role: "host" } }, () => {});
      await room.ready;
      const changes: PresenceChange[] = [];
      let look = () => {};
      room.on("presence", (change) => {
        changes.push(change);
        look();
      });
      const who = () => (room.presence?.members ?? []).map(({ client }) => client).sort();
      const until = (expected: readonly string[]) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        look = () => {
          if (JSON.stringify(who()) === JSON.stringify(expected)) resolve();
        };
        look();
        return within(promise, () => `${expected.join(" and ")} in the room; there are ${who().join(", ")}`);
      };
      await until(["anna"]);
      const ben = stage.connect({ client: "ben" });
      await ben.subscribe("room/1", () => {}).ready;
      await until(["anna", "ben"]);
      ben.close();
      await until(["anna"]);
      equal(
        changes.some(({ left }) => left.some(({ client }) => client === "ben")),
        true,
        "ben's leaving was told",
      );
      const carol = stage.connect({ client: "carol" });
      const lost = state(anna, "waiting");
      await stage.control("cut");
      await lost;
      const there = carol.subscribe("room/1", () => {});
      await stage.control("mend");
      await there.ready;
      await until(["anna", "carol"]);
      const asked = await anna.presence("room/1");
      equal([asked.count, asked.members?.find(({ client }) => client === "anna")?.info], [2, { role: "host" }]);
    },
  },
];
