/** Scenarios on tokens: refreshed, renewed, refused. */
import { check, equal, within } from "./checks.ts";
import { type Scenario, state } from "./stage.ts";

const minuteMs = 60_000;
/** Refreshed when a tenth is left: time enough for a busy machine. */
const shortMs = 2500;

export const credentials: readonly Scenario[] = [
  {
    name: "a token is refreshed before it expires, on the same connection",
    async run(stage) {
      await stage.open({ flags: ["--clock-skew", "0"] });
      const refreshed = Promise.withResolvers<void>();
      let asked = 0;
      const token = async () => {
        const signed = await stage.sign({ lifeMs: asked < 2 ? shortMs : minuteMs });
        if (++asked === 3) refreshed.resolve();
        return signed;
      };
      const client = stage.connect({ token });
      const states: string[] = [];
      const seen = await stage.watch(client, "log/a");
      client.on("state", (now) => states.push(now));
      const { session } = client;
      await within(refreshed.promise, "the second refresh");
      await stage.publish("log/a", 1, 1);
      await seen.until("log/a", 1);
      equal([states, client.session === session, asked], [[], true, 3]);
    },
  },
  {
    name: "an expired token is replaced by a new one",
    async run(stage) {
      await stage.open({ flags: ["--clock-skew", "0"] });
      let asked = 0;
      const client = stage.connect({ token: () => stage.sign({ lifeMs: ++asked === 1 ? -1000 : minuteMs }) });
      await within(client.ready(), "the connection");
      equal(asked, 2, "how often a token was asked for");
    },
  },
  {
    name: "a token that cannot be had now is asked for again",
    async run(stage) {
      await stage.open();
      let asked = 0;
      const client = stage.connect({
        token: () => {
          if (++asked < 3) throw new Error("The login is down");
          return stage.sign({ lifeMs: minuteMs });
        },
      });
      const errors: string[] = [];
      client.on("error", ({ message }) => errors.push(message));
      await within(client.ready(), "the connection");
      equal(errors, ["The login is down", "The login is down"]);
    },
  },
  {
    name: "a token that is refused closes the client, and what waits is told",
    async run(stage) {
      await stage.open();
      const client = stage.connect({ token: "not a token" });
      const waiting = client
        .publish("log/a", 1)
        .catch(({ kind, code }: { kind: string; code: number }) => [kind, code]);
      const subscription = client.subscribe("log/a", () => {});
      const reason = await within(client.closed, "the end of the client");
      equal([reason?.kind, reason?.code], ["closed", 117]);
      equal(await waiting, ["closed", 117]);
      equal((await subscription.ended)?.code, 117);
      equal(client.state, "closed");
    },
  },
  {
    name: "a token with fewer grants ends what it does not cover, and nothing else",
    async run(stage) {
      await stage.open();
      let asked = 0;
      const both = { "log/#": ["readwrite"], "live/#": ["readwrite"] } as const;
      const token = () =>
        stage.sign(
          ++asked === 1 ? { lifeMs: shortMs, grants: both } : { lifeMs: minuteMs, grants: { "log/#": ["readwrite"] } },
        );
      const client = stage.connect({ token });
      const kept = await stage.watch(client, "log/a");
      const lost = await stage.watch(client, "live/a");
      const reason = await within(lost.subscription.ended, "the end of the subscription");
      equal(reason?.kind, "unsubscribed");
      check(
        (reason?.code ?? 0) >= 2000 && (reason?.code ?? 0) < 2500,
        `the code says not to come back: ${reason?.code}`,
      );
      const back = [state(client, "waiting"), state(client, "active")];
      await stage.control("drop");
      await Promise.all(back);
      await stage.publish("log/a", 1, 1);
      await kept.until("log/a", 1);
      kept.judgeWhole("log/a", 1, 1);
    },
  },
];
