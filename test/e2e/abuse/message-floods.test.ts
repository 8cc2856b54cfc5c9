/** Message floods: clients that send as fast as they can, against limits, and with success where they are off. */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { disconnects, errors } from "../../../src/core/codes.ts";
import { op } from "../../../src/wire/messages.ts";
import { frameBytes, opcode, RawSocket } from "../../harness/raw-socket.ts";
import type { ServerProcess } from "../../harness/server.ts";
import type { WireClient } from "../../harness/wire-client.ts";
import { Caller } from "../../integration/api/caller.ts";
import { attacker, bystander, from, logged, metric, proxied, startDefended } from "./flooding.ts";

/** Far longer than the deadline of a connection that floods. */
const patienceMs = 15_000;

/** A token that may do everything below `flood`, and what else it is made with. */
async function tokenOf(server: ServerProcess, more: object = {}): Promise<string> {
  const json = { name: "flooder", grants: { "flood/#": ["readwrite"] }, ...more };
  const { body } = await new Caller(server, server.token).call("/v1/tokens", { json });
  return (body as { secret: string }).secret;
}

interface Attack {
  readonly name: string;
  /** Of the limits of a connection, or of a token. */
  readonly limit: string;
  readonly rate: string;
  readonly kind: string;
  /** Sends everything at once. */
  readonly run: (client: WireClient) => void;
  /** Waits until so much of it was done as a limit would let through only after more than a second. */
  readonly done: (client: WireClient, listener: WireClient) => Promise<void>;
}

const count = 1500;
const first = 450;
/** Those of other requests are far below. */
const refs = 1_000_000;

function published(listener: WireClient): Promise<unknown> {
  return listener.until(() => listener.all(op.message).length >= first, `${first} messages`, patienceMs);
}

function answered(client: WireClient, kind: number, wanted: number): Promise<unknown> {
  return client.until(() => client.all(kind).length >= wanted, `${wanted} answers`, patienceMs);
}

const attacks: readonly Attack[] = [
  {
    ...{ name: "messages", limit: "message-rate", rate: "200", kind: "messages" },
    run: (client) => {
      for (let i = 0; i < count; i++) client.send([op.publish, 0, "flood/a", i]);
    },
    done: async (_, listener) => void (await published(listener)),
  },
  {
    ...{ name: "messages in large frames", limit: "message-rate", rate: "200", kind: "messages" },
    run: (client) => client.send(...Array.from({ length: count }, (_, i) => [op.publish, 0, "flood/a", i])),
    done: async (_, listener) => void (await published(listener)),
  },
  {
    ...{ name: "bytes", limit: "byte-rate", rate: "200000", kind: "bytes" },
    run: (client) => {
      const payload = new Uint8Array(1000);
      for (let i = 0; i < count; i++) client.send([op.publish, 0, "flood/a", payload]);
    },
    done: async (_, listener) => void (await published(listener)),
  },
  {
    ...{ name: "subscriptions", limit: "subscribe-rate", rate: "20", kind: "subscribes" },
    run: (client) => {
      for (let i = 0; i < count; i++) client.send([op.subscribe, 0, "flood/a"], [op.unsubscribe, refs + i, "flood/a"]);
    },
    done: async (client) => void (await answered(client, op.ok, 230)),
  },
  {
    ...{ name: "requests that fail", limit: "error-rate", rate: "20", kind: "errors" },
    run: (client) => {
      for (let i = 0; i < count; i++) client.send([op.publish, refs + i, "forbidden", 1]);
    },
    done: async (client) => void (await answered(client, op.error, 230)),
  },
];

describe.each(attacks)("a flood of $name", ({ limit, rate, kind, run, done }) => {
  const deadline = ["--flood-deadline", "3s"];
  const series = `tagcast_slowed_total{reason="${kind}"}`;

  test("is handled as fast as it comes where the limit is off", async () => {
    await using server = await startDefended(...proxied, ...deadline, `--${limit}-per-connection`, "0");
    await using listener = await server.connect();
    await listener.ok(op.subscribe, "flood/#");
    await using client = await server.connect({ token: await tokenOf(server), headers: from(attacker) });
    run(client);
    await done(client, listener);
    expect(await client.ok(op.ping)).toEqual({});
    expect([await metric(server, series), client.all(op.disconnect)]).toEqual([0, []]);
  }, 20_000);

  test.each(["connection", "token"])(
    "is slowed, told and ended by the limit of a %s; counted, and logged with its source",
    async (scope) => {
      await using server = await startDefended(...proxied, ...deadline, `--${limit}-per-${scope}`, rate);
      await using listener = await server.connect();
      await listener.ok(op.subscribe, "flood/#");
      await using client = await server.connect({ token: await tokenOf(server), headers: from(attacker) });
      const began = performance.now();
      run(client);
      await done(client, listener);
      expect(performance.now() - began).toBeGreaterThan(1000);
      // Others notice nothing.
      await using other = await server.connect({ token: await tokenOf(server), headers: from(bystander) });
      expect(await other.ok(op.publish, "flood/b", 1)).toEqual({});
      const notices = () => client.all(op.error).filter(([, ref, code]) => ref === 0 && code === errors.slowed.code);
      await client.until(() => notices().length > 0, "a notice", patienceMs);
      await client.until(() => client.all(op.disconnect).length > 0, "the end", patienceMs);
      const [farewell] = client.all(op.disconnect);
      expect(farewell?.[1]).toBe(disconnects.flooding.code);
      expect(Number(farewell?.[3])).toBeGreaterThan(0);
      expect(await metric(server, series)).toBeGreaterThan(0);
      expect(await metric(server, "tagcast_flood_notices_total")).toBeGreaterThan(0);
      expect(await metric(server, 'tagcast_connections_ended_total{reason="flooding"}')).toBe(1);
      expect(await logged(server, "client floods")).toMatchObject({ from: attacker, kind });
    },
    30_000,
  );
});

const hollow = [
  { name: "frames without a message", parts: { opcode: opcode.binary } },
  { name: "pings", parts: { opcode: opcode.ping } },
  { name: "pongs that nobody asked for", parts: { opcode: opcode.pong } },
] as const;

describe.each(hollow)("a flood of $name", ({ parts }) => {
  const series = 'tagcast_slowed_total{reason="messages"}';
  const flood = async (server: ServerProcess) => {
    const headers = { ...from(attacker), Authorization: `Bearer ${await tokenOf(server)}` };
    const raw = await RawSocket.open(server.url, { headers });
    const frame = frameBytes(parts);
    raw.send(Buffer.concat(Array.from({ length: count }, () => frame)));
    return raw;
  };
  const answer = frameBytes({ opcode: opcode.binary, payload: encode([op.ping, 7]) });

  test("is handled as fast as it comes where the limit is off", async () => {
    await using server = await startDefended(...proxied, "--message-rate-per-connection", "0");
    await using raw = await flood(server);
    raw.send(answer);
    await raw.next(opcode.binary);
    expect(await metric(server, series)).toBe(0);
  });

  test("is slowed and ended as one of messages is, and logged with its source", async () => {
    const rate = ["--message-rate-per-connection", "100", "--flood-deadline", "1s"];
    await using server = await startDefended(...proxied, ...rate);
    await using raw = await flood(server);
    for (let i = 0; i < 10; i++) raw.send(Buffer.concat(Array.from({ length: count }, () => frameBytes(parts))));
    await raw.until(() => raw.ended || raw.closed, "the end", patienceMs);
    expect(await metric(server, series)).toBeGreaterThan(0);
    expect(await metric(server, 'tagcast_connections_ended_total{reason="flooding"}')).toBe(1);
    expect(await logged(server, "client floods")).toMatchObject({ from: attacker, kind: "messages" });
  }, 30_000);
});

describe("a flood over HTTP", () => {
  const publish = async (server: ServerProcess, token: string, times: number) => {
    const caller = new Caller(server, token);
    const answers = [];
    for (let i = 0; i < times; i++) answers.push(await caller.publish({ tag: "flood/a", payload: i }));
    return answers;
  };

  test("is answered where the limit is off", async () => {
    await using server = await startDefended();
    const answers = await publish(server, await tokenOf(server), 100);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  test("draws from the bucket of the token's connections, and is refused with the time to wait", async () => {
    await using server = await startDefended("--message-rate-per-token", "20");
    const token = await tokenOf(server);
    await using client = await server.connect({ token });
    for (let i = 0; i < 15; i++) client.send([op.publish, 0, "flood/a", i]);
    await client.ok(op.ping);
    const answers = await publish(server, token, 100);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused.map(({ headers }) => headers.get("retry-after")))).toEqual(new Set(["1"]));
    expect(await metric(server, 'tagcast_rate_refused_total{reason="messages"}')).toBe(refused.length);
    expect(await logged(server, "request refused: its credential is used too fast")).toMatchObject({
      from: "127.0.0.1",
    });
    // Another token is another bucket.
    expect((await publish(server, await tokenOf(server), 1))[0]?.status).toBe(200);
  }, 15_000);
});

describe("a token's own limits", () => {
  test("hold for requests that publish nothing, too", async () => {
    await using server = await startDefended();
    const statuses = async (more: object) => {
      const caller = new Caller(server, await tokenOf(server, more));
      const answers = [];
      for (let i = 0; i < 40; i++) answers.push(await caller.call("/v1/presence?tag=flood/a"));
      return answers.map(({ status }) => status);
    };
    expect(await statuses({})).not.toContain(429);
    expect(await statuses({ messagesPerSecond: 5 })).toContain(429);
  }, 20_000);

  test("bound its connections where nothing is configured", async () => {
    const flood = async (more: object) => {
      await using server = await startDefended("--message-rate-per-connection", "0");
      await using client = await server.connect({ token: await tokenOf(server, more) });
      for (let i = 0; i < 300; i++) client.send([op.publish, 0, "flood/a", i]);
      await client.ok(op.ping);
      return await metric(server, 'tagcast_slowed_total{reason="messages"}');
    };
    expect(await flood({})).toBe(0);
    expect(await flood({ messagesPerSecond: 100 })).toBeGreaterThan(0);
  }, 20_000);

  test("set it free of what is configured, and so is the admin token of the run", async () => {
    await using server = await startDefended("--message-rate-per-connection", "10", "--message-rate-per-token", "10");
    const slowed = () => metric(server, 'tagcast_slowed_total{reason="messages"}');
    for (const token of [server.token, await tokenOf(server, { messagesPerSecond: 0 })]) {
      await using client = await server.connect({ token });
      for (let i = 0; i < 300; i++) client.send([op.publish, 0, "flood/a", i]);
      await client.ok(op.ping);
    }
    expect(await slowed()).toBe(0);
    await using client = await server.connect({ token: await tokenOf(server) });
    for (let i = 0; i < 20; i++) client.send([op.publish, 0, "flood/a", i]);
    await client.ok(op.ping);
    expect(await slowed()).toBeGreaterThan(0);
  }, 20_000);
});
