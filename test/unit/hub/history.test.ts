import { describe, expect, test } from "bun:test";
import type { Page } from "../../../src/broker/broker.ts";
import { recovery } from "../../../src/core/recovery.ts";
import { answerHistory } from "../../../src/hub/history.ts";
import { settling } from "../../../src/lib/settle.ts";
import { rethrow } from "../../harness/clock.ts";
import type { HistoryMessage, ResultValue } from "../../../src/wire/messages.ts";
import { op, type Raw } from "../../../src/wire/messages.ts";
import { app, roomy, TestHub } from "./support.ts";

interface Answer {
  readonly position: readonly [number, number];
  readonly offsets: readonly number[];
  readonly more: boolean;
  readonly recovered: boolean | undefined;
}

class Log {
  readonly hub = new TestHub();
  reads = 0;

  constructor(messages: number) {
    this.publish(messages);
  }

  publish(count: number): void {
    const publisher = this.hub.open();
    for (let i = 0; i < count; i++) publisher.publish("log/a", i);
    this.hub.turns();
  }

  get epoch(): number {
    return this.hub.memory.logs(app, "log/a", 1).logs[0]!.epoch;
  }

  /** `rule` bounds the log before it is read. */
  ask(wish: Partial<HistoryMessage>, { size = 1000, before }: { size?: number; before?: () => void } = {}): Answer {
    const rule = { ...roomy, history: { size } };
    const { memory } = this.hub;
    const broker = new Proxy(memory, {
      get: (target, name) => {
        const member = Reflect.get(target, name, target) as unknown;
        if (name !== "history") return member;
        return (...asked: Parameters<typeof memory.history>): Page => {
          if (this.reads++ === 1) before?.();
          return memory.history(...asked);
        };
      },
    });
    let answer: ResultValue = null;
    answerHistory({
      broker,
      recovery,
      settle: settling(rethrow),
      app,
      rule,
      message: { op: op.history, ref: 1, tag: "log/a", since: null, last: null, limit: null, ...wish },
      requester: {
        answered: (_, result) => void (answer = result),
        refused: (_, code) => expect.unreachable(code.name),
      },
    });
    const result = answer as unknown as Answer & { readonly messages: readonly (readonly [number, Raw])[] };
    return { ...result, offsets: result.messages.map(([offset]) => offset) };
  }
}

describe("The history of a tag", () => {
  test.each([
    [{}, [1, 2, 3, 4, 5], false],
    [{ limit: 2 }, [1, 2], true],
    [{ last: 2 }, [4, 5], false],
    [{ last: 9 }, [1, 2, 3, 4, 5], false],
    [{ last: 3, limit: 2 }, [3, 4], true],
  ] as const)("asked for %p has offsets %p, more: %p", (wish, offsets, more) => {
    const log = new Log(5);
    const answer = log.ask(wish);
    expect([answer.offsets, answer.more, answer.recovered]).toEqual([[...offsets], more, undefined]);
    expect(answer.position).toEqual([log.epoch, 5]);
  });

  test("since a position takes one read, and says that it is whole", () => {
    const log = new Log(5);
    const answer = log.ask({ since: { epoch: log.epoch, offset: 3 } });
    expect([answer.offsets, answer.recovered, log.reads]).toEqual([[4, 5], true, 1]);
  });

  test("since a position that is gone begins with the oldest, and says so", () => {
    const log = new Log(5);
    expect(log.ask({ since: { epoch: log.epoch, offset: 1 } }, { size: 2 })).toMatchObject({
      offsets: [4, 5],
      recovered: false,
    });
  });

  test("since a position of another epoch begins with the oldest, even where that is further back", () => {
    const log = new Log(5);
    const answer = log.ask({ since: { epoch: log.epoch + 1, offset: 4 } });
    expect([answer.offsets, answer.recovered, log.reads]).toEqual([[1, 2, 3, 4, 5], false, 2]);
  });

  test("since a position, bounded by the newest wanted", () => {
    const log = new Log(5);
    expect(log.ask({ since: { epoch: log.epoch, offset: 1 }, last: 2 })).toMatchObject({
      offsets: [4, 5],
      recovered: true,
    });
    expect(log.ask({ since: { epoch: log.epoch, offset: 4 }, last: 3 })).toMatchObject({
      offsets: [5],
      recovered: true,
    });
  });

  // What the first read had said of the log was taken to hold for the second.
  test("says what holds of the page that it gives, not of the log as it was read before", () => {
    const log = new Log(5);
    const since = { epoch: log.epoch, offset: 1 };
    const trimmed = () =>
      void log.hub.memory.history(app, "log/a", { ...roomy, history: { size: 1 } }, 0, { count: 0, bytes: 0 });
    expect(log.ask({ since, last: 3 }, { before: trimmed })).toMatchObject({ offsets: [5], recovered: false });
  });
});
