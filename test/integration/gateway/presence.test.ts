/** Who is here, over real sockets: changes are gathered for a moment of the server's clock, which tests hold. */
import { describe, expect, test } from "bun:test";
import { gatherMs } from "../../../src/hub/presence.ts";
import { op } from "../../../src/wire/messages.ts";
import { SocketClock, startServer, type TestServer } from "../../harness/server.ts";

const toml = '[[tags]]\npattern = "room/#"\npresence = true\n';
type Member = readonly [string, number, unknown];
interface Members {
  readonly version: number;
  readonly count: number;
  readonly members: readonly Member[] | null;
}

async function enter(server: TestServer, name: string, options: object = {}) {
  const client = await server.connect({ options: { client: name } });
  const result = await client.ok(op.subscribe, "room/1", options);
  return Object.assign(client, { result });
}

describe("presence", () => {
  test("tells who is here, then who comes and goes, gathered", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ toml, clock });
    await using ann = await enter(server, "ann", { presence: true, info: { seat: 1 } });
    const { version, count, members } = ann.result["presence"] as Members;
    expect([version, count, members]).toEqual([1, 1, [["ann", expect.any(Number), { seat: 1 }]]]);
    await using bob = await enter(server, "bob");
    await using cyd = await enter(server, "cyd", { info: "hi" });
    expect([bob.result, cyd.result]).toEqual([{}, {}]);
    await cyd.ok(op.unsubscribe, "room/1");
    clock.advance(gatherMs);
    await ann.until(() => ann.all(op.presenceChange).length > 0, "a change");
    await ann.ok(op.ping);
    const [change] = ann.all(op.presenceChange);
    const [, tag, now, joined, left, here] = change as [
      number,
      string,
      number,
      Member[],
      (readonly [string, number])[],
      number,
    ];
    expect([tag, now, here, ann.all(op.presenceChange).length]).toEqual(["room/1", 4, 2, 1]);
    expect(joined.map(([name]) => name)).toContain("bob");
    expect(joined.map(([name]) => name)).not.toContain("cyd");
    expect(left.map(([name]) => name)).toEqual(["cyd"]);
    // Who did not ask is not told.
    expect(bob.all(op.presenceChange)).toEqual([]);
  });

  test("a socket that is gone has left, and a late leave does not erase the newer join of its name", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ toml, clock });
    await using watcher = await enter(server, "watcher", { presence: true });
    await using first = await enter(server, "pump");
    await using second = await enter(server, "pump");
    const before = (await watcher.ok(op.presence, "room/1")) as unknown as Members;
    expect(before.members?.map(([name]) => name).sort()).toEqual(["pump", "pump", "watcher"]);
    first.socket.terminate();
    await server.log.until("session closed");
    const after = (await watcher.ok(op.presence, "room/1")) as unknown as Members;
    expect([after.count, after.members?.length]).toEqual([2, 2]);
    clock.advance(gatherMs);
    await watcher.until(() => watcher.all(op.presenceChange).length > 0, "a change");
    const left = watcher.all(op.presenceChange)[0]?.[4] as (readonly [string, number])[];
    const gone = before.members?.find((member) => !after.members?.some((other) => other[1] === member[1]));
    expect(left).toEqual([["pump", gone?.[1] as number]]);
    expect(after.members?.map(([name]) => name).sort()).toEqual(["pump", "watcher"]);
    expect(second.all(op.presenceChange)).toEqual([]);
  });

  test("above 200 members only counts are told", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ toml, clock });
    await using watcher = await enter(server, "watcher", { presence: true });
    const others = await Promise.all(Array.from({ length: 200 }, (_, i) => enter(server, `c${i}`)));
    expect(await watcher.ok(op.presence, "room/1")).toEqual({ version: 201, count: 201, members: null });
    clock.advance(gatherMs);
    await watcher.until(() => watcher.all(op.presenceChange).length > 0, "a change");
    expect(watcher.all(op.presenceChange)).toEqual([[19, "room/1", 201, null, null, 201]]);
    await using late = await enter(server, "late", { presence: true });
    expect(late.result["presence"]).toEqual({ version: 202, count: 202, members: null });
    await Promise.all(others.map((other) => other.close()));
    const { count, members } = (await watcher.ok(op.presence, "room/1")) as unknown as Members;
    expect([count, members?.length]).toEqual([2, 2]);
  });

  test("comes to the JSON lane too", async () => {
    const clock = new SocketClock();
    await using server = await startServer({ toml, clock });
    await using client = await server.connect({ lane: "json", options: { client: "json" } });
    await client.ok(op.subscribe, "room/1", { presence: true, info: { $bin: "AQ==" } });
    await using bob = await enter(server, "bob", { info: { x: 1 } });
    clock.advance(gatherMs);
    const [, , , joined] = await client.next(op.presenceChange);
    expect(joined).toContainEqual(["bob", expect.any(Number), { x: 1 }]);
    const { members } = (await bob.ok(op.presence, "room/1")) as unknown as Members;
    expect(members).toContainEqual(["json", expect.any(Number), new Uint8Array([1])]);
  });

  test("is for exact tags whose rule has it", async () => {
    await using server = await startServer({ toml });
    await using client = await server.connect();
    expect(await client.refused(op.subscribe, "room/+", { presence: true })).toBe(120);
    expect(await client.refused(op.subscribe, "hall", { presence: true })).toBe(120);
    expect(await client.refused(op.presence, "hall")).toBe(120);
    expect(await client.refused(op.presence, "room/+")).toBe(108);
    // A subscription through a wildcard makes nobody a member.
    await client.ok(op.subscribe, "room/#");
    expect(await client.ok(op.presence, "room/1")).toMatchObject({ count: 0 });
  });
});
