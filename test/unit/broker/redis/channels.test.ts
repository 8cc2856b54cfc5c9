/** Which channels are listened on while interest comes and goes, and connections too. */
import { describe, expect, test } from "bun:test";
import { Channels } from "../../../../src/broker/redis/channels.ts";
import { FakeClock } from "../../../harness/clock.ts";

const tag = ["c:a/b", "p:a", "f"];
const prefix = ["p:a", "f"];
const all = ["f"];

class FakeLink {
  readonly said: string[] = [];
  /** What is confirmed only when a test says so. */
  held: (() => void)[] | null = null;

  subscribe(channels: readonly string[]): Promise<void> {
    return this.#say(`+${channels.join(" ")}`);
  }

  unsubscribe(channels: readonly string[]): Promise<void> {
    return this.#say(`-${channels.join(" ")}`);
  }

  fence(): Promise<void> {
    return this.#say("fence");
  }

  async #say(what: string): Promise<void> {
    this.said.push(what);
    if (this.held === null) return;
    const { held } = this;
    await new Promise<void>((resolve) => held.push(resolve));
  }
}

async function open() {
  const clock = new FakeClock();
  const channels = new Channels(clock);
  const link = new FakeLink();
  await channels.open(link);
  return { clock, channels, link };
}

describe("Channels", () => {
  test("are subscribed to together in a turn, and confirmed before the answer", async () => {
    const { channels, link } = await open();
    link.held = [];
    let answered = 0;
    const answers = [tag, ["c:x", "p:x", "f"]].map((chain) => channels.want(chain).then(() => answered++));
    await new Promise(setImmediate);
    expect([link.said, answered]).toEqual([["+c:a/b c:x"], 0]);
    for (const confirm of link.held) confirm();
    await Promise.all(answers);
    expect(answered).toBe(2);
  });

  test("give way to a broader one once that is confirmed, and come back before it goes", async () => {
    const { channels, link, clock } = await open();
    await channels.want(tag);
    await channels.want(prefix);
    clock.advance(1000);
    expect(link.said).toEqual(["+c:a/b", "+p:a", "-c:a/b"]);
    link.said.length = 0;
    link.held = [];
    channels.unwant(prefix);
    await new Promise(setImmediate);
    clock.advance(1000);
    expect(link.said).toEqual(["+c:a/b"]);
    for (const confirm of link.held) confirm();
    await new Promise(setImmediate);
    clock.advance(1000);
    expect(link.said).toEqual(["+c:a/b", "-p:a"]);
  });

  test("that bring it already are asked for no second time, but what is on its way is waited for", async () => {
    const { channels, link } = await open();
    await channels.want(all);
    await channels.want(tag);
    await channels.want(prefix);
    expect(link.said).toEqual(["+f", "fence", "fence"]);
  });

  test("stay while anybody wants them", async () => {
    const { channels, link, clock } = await open();
    await channels.want(prefix);
    await channels.want(prefix);
    channels.unwant(prefix);
    clock.advance(1000);
    expect(link.said).toEqual(["+p:a", "fence"]);
    channels.unwant(prefix);
    clock.advance(1000);
    expect(link.said.at(-1)).toBe("-p:a");
    expect(channels.size).toBe(0);
  });

  test("are subscribed to again on the next connection, those that are needed", async () => {
    const { channels } = await open();
    await channels.want(tag);
    await channels.want(prefix);
    await channels.want(["c:x", "p:x", "f"]);
    channels.close();
    channels.unwant(["c:x", "p:x", "f"]);
    const next = new FakeLink();
    await channels.open(next);
    expect(next.said).toEqual(["+p:a"]);
  });

  test("are refused without a connection, and when it ends before they are confirmed", async () => {
    const { channels, link } = await open();
    link.held = [];
    const answer = channels.want(tag);
    await new Promise(setImmediate);
    channels.close();
    expect(answer).rejects.toThrow("not available");
    expect(channels.want(prefix)).rejects.toThrow("not available");
  });
});
