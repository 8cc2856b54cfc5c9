/** examples/host-metrics.ts: readings of this machine, at its pace, through a server process. */
import { expect, test } from "bun:test";
import { connect, type Message } from "../../src/client/client.ts";
import { within } from "../harness/deadline.ts";
import { Example } from "../harness/example.ts";
import { startProcess } from "../harness/server.ts";

interface Reading {
  readonly time: number;
  readonly value: number;
  readonly unit: string;
  readonly max?: number;
}

test("readings of processors, load, memory and network come ten times a second, and are kept", async () => {
  await using server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
  const client = connect(server.url, { token: server.token });
  const messages: Message<Reading>[] = [];
  await client.subscribe<Reading>("host/a-b/#", (message) => messages.push(message)).ready;
  const env = { TAGCAST_URL: server.url, TAGCAST_TOKEN: server.token };
  await using metrics = new Example("host-metrics.ts", ["--name", "a/b", "--count", "6"], env);
  expect(await metrics.end()).toBe(0);
  expect(metrics.stderr).toBe("");
  // All was acknowledged; what is on its way to this client comes before the next answer.
  await client.flush();
  const kept = await within(client.history<Reading>("host/a-b/load"), "the history");
  expect(kept.messages).toHaveLength(6);
  client.close();

  const tags = new Set(messages.map(({ tag }) => tag.replace("host/a-b/", "")));
  for (const name of ["cpu/0", "load", "memory", "net/lo/rx", "net/lo/tx"]) expect(tags).toContain(name);
  for (const { tag, payload } of messages) {
    const { time, value, max = Infinity } = payload;
    expect({ tag, fits: value >= 0 && value <= max && Math.abs(Date.now() - time) < 60_000 }).toEqual({
      tag,
      fits: true,
    });
  }
  const times = kept.messages.map(({ payload }) => payload.time);
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeWithin(400, 2000);
  expect(messages.find(({ tag }) => tag.endsWith("/memory"))?.payload).toMatchObject({
    unit: "B",
    max: expect.any(Number),
  });
});

test("how it is called is told, and a call that makes no sense is refused", async () => {
  await using helped = new Example("host-metrics.ts", ["--help"], {});
  expect(await helped.end()).toBe(0);
  expect(helped.stdout).toContain("TAGCAST_URL");
  await using wrong = new Example("host-metrics.ts", ["--count", "some"], {});
  expect(await wrong.end()).toBe(1);
  expect(wrong.stderr).toContain("--count");
});

test("without a server it says so, and goes on trying", async () => {
  await using metrics = new Example("host-metrics.ts", [], { TAGCAST_URL: "ws://127.0.0.1:1/ws" });
  await metrics.until(/^No connection to ws:\/\/127\.0\.0\.1:1\/ws: .+; trying again$/m, "stderr");
  metrics.signal("SIGTERM");
  await metrics.end();
});
