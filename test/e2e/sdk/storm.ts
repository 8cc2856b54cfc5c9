/** A scenario of many troubles in a row, in an order that chance chose once. */
import { equal, numberOf, numbers, type Numbered, within } from "./checks.ts";
import type { Scenario, Stage } from "./stage.ts";

const steps = 40;
const perStep = 5;

/** What happens to the network or the server, and, within, what is published meanwhile. */
const troubles: readonly ((stage: Stage, publish: () => Promise<void>) => Promise<void>)[] = [
  async ({ control }, publish) => {
    const published = publish();
    await control("drop");
    await published;
  },
  async ({ control }, publish) => {
    await control("cut");
    await publish();
    await control("mend");
  },
  async ({ control }, publish) => {
    await control("hold", "down");
    await publish();
    await control("mend");
  },
  async ({ control }, publish) => {
    await control("hold", "up");
    await publish();
    await control("mend");
    await control("drop");
  },
  async ({ control }, publish) => {
    await control("lose", "down");
    await publish();
    await control("mend");
  },
  async ({ control }, publish) => {
    await control("lose", "up");
    await publish();
    await control("mend");
  },
  async ({ control }, publish) => {
    await control("freeze");
    const published = publish();
    await control("drop");
    await control("thaw");
    await published;
  },
  async ({ control }, publish) => {
    await control("slow", { bytesPerSecond: 50_000, delayMs: 5 });
    await publish();
    await control("mend");
  },
];

export const storm: readonly Scenario[] = [
  {
    name: "in a storm of troubles nothing is lost, doubled or out of order",
    async run(stage) {
      await stage.open();
      const client = stage.connect();
      const publisher = stage.connect();
      const one = await stage.watch(client, "log/mine");
      const all = await stage.watch(client, "log/#");
      const slow = client.subscribe<Numbered>("log/+", { bufferMax: 4 });
      await slow.ready;
      const answers: Promise<unknown>[] = [];
      let n = 0;
      const publish = async () => {
        const [from, to] = [n + 1, (n += perStep)];
        for (const number of numbers(from, to)) answers.push(publisher.publish("log/mine", { n: number }));
        await stage.publish("log/theirs", from, to);
      };
      let chance = 20_260_401;
      for (let step = 0; step < steps; step++) {
        // Else most troubles would befall nobody.
        await within(Promise.all([client.ready(), publisher.ready()]), "the connections");
        chance = (Math.imul(chance, 1_664_525) + 1_013_904_223) >>> 0;
        await troubles[(chance >>> 16) % troubles.length]?.(stage, publish);
      }
      await within(Promise.all(answers), "the acknowledgements");
      const read = new Map<string, number[]>([
        ["log/mine", []],
        ["log/theirs", []],
      ]);
      for await (const message of slow) {
        read.get(message.tag)?.push(numberOf(message));
        if ([...read.values()].every((of) => of.at(-1) === n)) break;
      }
      for (const of of read.values()) equal(of, numbers(1, n), "what the iterator had");
      await one.until("log/mine", n);
      await all.until("log/mine", n);
      await all.until("log/theirs", n);
      one.judgeWhole("log/mine", 1, n);
      all.judgeWhole("log/mine", 1, n);
      all.judgeWhole("log/theirs", 1, n);
    },
  },
];
