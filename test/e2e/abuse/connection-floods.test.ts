/** Connection floods: more connections, and faster, than one client needs, against limits, and with success where they are off. */
import { describe, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { EventClient } from "../../harness/event-client.ts";
import { tryUpgrade } from "../../harness/http-head.ts";
import { RawSocket } from "../../harness/raw-socket.ts";
import type { ServerProcess } from "../../harness/server.ts";
import { Caller } from "../../integration/api/caller.ts";
import { attacker, bystander, from, logged, metric, proxied, startDefended } from "./flooding.ts";

interface Outcome {
  /** Connections and requests that were let in. */
  readonly admitted: number;
  /** The others: how often which status, and whether all said when to come back. */
  readonly refused: readonly number[];
  readonly told: boolean;
}

const attempts = 60;

function outcomeOf(
  answers: readonly { readonly status: number; readonly retryAfter: string | null | undefined }[],
): Outcome {
  const refused = answers.filter(({ status }) => status >= 400);
  return {
    admitted: answers.length - refused.length,
    refused: [...new Set(refused.map(({ status }) => status))],
    told: refused.every(({ status, retryAfter }) => status === 401 || Number(retryAfter) >= 1),
  };
}

/** Opens connections and holds them, all at once. */
async function hold(
  server: ServerProcess,
  addresses: readonly string[],
  stack: AsyncDisposableStack,
): Promise<Outcome> {
  const answers = await Promise.all(
    addresses.map(async (address) => {
      try {
        stack.use(await RawSocket.open(server.url, { headers: from(address) }));
        return { status: 101, retryAfter: null };
      } catch (error) {
        const text = String(error);
        const status = Number(/HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
        return { status, retryAfter: /^retry-after: (\d+)/im.exec(text)?.[1] };
      }
    }),
  );
  return outcomeOf(answers);
}

/** Opens connections one after the other, and leaves each at once. */
async function churn(
  server: ServerProcess,
  headersOf: (i: number) => Readonly<Record<string, string>>,
): Promise<Outcome> {
  const answers: { status: number; retryAfter: string | undefined }[] = [];
  for (let i = 0; i < attempts; i++) {
    const { status, headers } = await tryUpgrade(server.url, { headers: headersOf(i) });
    answers.push({ status, retryAfter: headers["retry-after"] });
  }
  return outcomeOf(answers);
}

async function request(server: ServerProcess): Promise<Outcome> {
  const answers: { status: number; retryAfter: string | null }[] = [];
  for (let i = 0; i < attempts; i++) {
    const { status, headers } = await fetch(`${server.http}/openapi.json`, { headers: from(attacker) });
    answers.push({ status, retryAfter: headers.get("retry-after") });
  }
  return outcomeOf(answers);
}

const sameAddress = Array.from({ length: attempts }, () => attacker);
/** Each another address of the /64 that one client has. */
const samePrefix = Array.from({ length: attempts }, (_, i) => `2001:db8:7:7:${i}::${i}`);

interface Attack {
  readonly name: string;
  readonly on: readonly string[];
  readonly off: readonly string[];
  readonly run: (server: ServerProcess, stack: AsyncDisposableStack) => Promise<Outcome>;
  /** Let in at most, in far more time than it takes. */
  readonly admittedMax: number;
  readonly status: number;
  readonly reason: string;
  readonly source: string;
}

const attacks: readonly Attack[] = [
  {
    name: "many connections of one address",
    ...{ on: ["--connections-per-address", "5"], off: ["--connections-per-address", "0"] },
    run: (server, stack) => hold(server, sameAddress, stack),
    ...{ admittedMax: 5, status: 429, reason: "address-connections", source: attacker },
  },
  {
    name: "many connections of one IPv6 prefix",
    ...{ on: ["--connections-per-address", "5"], off: ["--connections-per-address", "5", "--ipv6-prefix", "128"] },
    run: (server, stack) => hold(server, samePrefix, stack),
    ...{ admittedMax: 5, status: 429, reason: "address-connections", source: "2001:db8:7:7::/64" },
  },
  {
    name: "many connections in all",
    ...{ on: ["--connections-max", "5"], off: ["--connections-max", "0"] },
    run: (server, stack) => hold(server, sameAddress, stack),
    ...{ admittedMax: 5, status: 503, reason: "full", source: attacker },
  },
  {
    name: "connections of one address in quick succession",
    ...{ on: ["--accept-rate-per-address", "1"], off: ["--accept-rate-per-address", "0"] },
    run: (server) => churn(server, () => from(attacker)),
    ...{ admittedMax: 40, status: 429, reason: "address-accept-rate", source: attacker },
  },
  {
    name: "connections of many addresses in quick succession",
    ...{ on: ["--accept-rate", "1"], off: ["--accept-rate", "0"] },
    run: (server) => churn(server, (i) => from(`203.0.113.${i}`)),
    ...{ admittedMax: 40, status: 503, reason: "accept-rate", source: "203.0.113." },
  },
  {
    name: "connections of more addresses than are counted",
    ...{ on: ["--addresses-max", "5"], off: ["--addresses-max", "100000"] },
    run: (server, stack) =>
      hold(
        server,
        Array.from({ length: attempts }, (_, i) => `203.0.113.${i}`),
        stack,
      ),
    ...{ admittedMax: 5, status: 503, reason: "addresses", source: "203.0.113." },
  },
  {
    name: "connections with guessed credentials, which are not even looked at",
    ...{ on: ["--accept-rate-per-address", "1"], off: ["--accept-rate-per-address", "0"] },
    run: async (server) => {
      const outcome = await churn(server, () => ({ ...from(attacker), Authorization: "Bearer guessed" }));
      const failures = await metric(server, "tagcast_authentication_failures_total");
      // Every one is refused; what counts is by whom.
      return { ...outcome, admitted: failures, refused: outcome.refused.filter((status) => status !== 401) };
    },
    ...{ admittedMax: 40, status: 429, reason: "address-accept-rate", source: attacker },
  },
  {
    name: "requests of one address",
    ...{ on: ["--request-rate-per-address", "1"], off: ["--request-rate-per-address", "0"] },
    run: (server) => request(server),
    ...{ admittedMax: 40, status: 429, reason: "address-request-rate", source: attacker },
  },
];

describe.each(attacks)("$name", ({ on, off, run, admittedMax, status, reason, source }) => {
  const series = `tagcast_refused_total{reason="${reason}"}`;
  const open = ["--authentication-failures-max", "0"];

  test("succeed where the limit is off", async () => {
    await using server = await startDefended(...proxied, ...open, ...off);
    await using stack = new AsyncDisposableStack();
    const { admitted } = await run(server, stack);
    expect([admitted, await metric(server, series)]).toEqual([attempts, 0]);
  }, 20_000);

  test("are refused with the time to wait, counted, and logged with their source", async () => {
    await using server = await startDefended(...proxied, ...open, ...on);
    await using stack = new AsyncDisposableStack();
    await using established = await server.connect({ headers: from(bystander) });
    const { admitted, refused, told } = await run(server, stack);
    expect(admitted).toBeLessThanOrEqual(admittedMax);
    expect([refused, told]).toEqual([[status], true]);
    expect(await metric(server, series)).toBeGreaterThanOrEqual(attempts - admittedMax);
    const line = await logged(server, reason === "address-request-rate" ? "request refused" : "connection refused");
    expect([line["reason"], String(line["from"]).startsWith(source)]).toEqual([reason, true]);
    // Who is in already notices nothing.
    expect(await established.ok(op.ping)).toEqual({});
  }, 20_000);
});

describe("an address that the client writes itself", () => {
  const forged = (i: number) => ({ ...from(`192.0.2.${i}`), Forwarded: `for=192.0.2.${i}` });
  const limit = ["--accept-rate-per-address", "1"];

  test("helps where its headers are believed", async () => {
    await using server = await startDefended(...proxied, ...limit);
    expect((await churn(server, forged)).admitted).toBe(attempts);
  }, 20_000);

  test("does not help where it is no trusted proxy", async () => {
    await using server = await startDefended("--trusted-proxies", "10.0.0.1", ...limit);
    expect((await churn(server, forged)).admitted).toBeLessThanOrEqual(40);
    expect((await logged(server, "connection refused"))["from"]).toBe("127.0.0.1");
  }, 20_000);
});

test("an address that floods leaves others, and this machine, their connections", async () => {
  const limits = ["--connections-per-address", "3", "--accept-rate-per-address", "1"];
  await using server = await startDefended(...proxied, ...limits);
  await using stack = new AsyncDisposableStack();
  await hold(server, sameAddress, stack);
  await using other = await server.connect({ headers: from(bystander) });
  expect(await other.ok(op.ping)).toEqual({});
  await using local = await startDefended(...limits);
  await using here = new AsyncDisposableStack();
  expect((await hold(local, sameAddress, here)).admitted).toBe(attempts);
}, 20_000);

test("event streams count as connections, and give back their room", async () => {
  await using server = await startDefended(...proxied, "--connections-per-address", "1");
  const ask = () =>
    fetch(`${server.http}/events?tags=a`, {
      headers: { ...from(attacker), authorization: `Bearer ${server.token}` },
    });
  {
    const headers = from(attacker);
    await using stream = await EventClient.open(`${server.http}/events?tags=a`, { token: server.token, headers });
    const refused = await ask();
    expect([refused.status, refused.headers.get("retry-after"), stream.ended]).toEqual([429, "5", false]);
  }
  const wrong = await new Caller(server, "no-such-token").call("/events?tags=a", { headers: from(bystander) });
  expect(wrong.status).toBe(401);
  expect((await tryUpgrade(server.url, { headers: from(bystander) })).status).toBe(101);
});

test("a token that is used for connections too fast is told so, and each of them when to come back", async () => {
  const attack = async (server: ServerProcess) => {
    const codes: unknown[] = [];
    for (let i = 0; i < attempts; i++) {
      await using client = await server.dial();
      client.send([op.connect, 1, { token: server.token }]);
      await client.until(() => client.received.length > 0, "an answer");
      const [answer] = client.received;
      codes.push(answer?.[0] === op.disconnect ? [answer[1], Number(answer[3]) > 0] : "in");
    }
    return codes;
  };
  await using open = await startDefended("--accept-rate-per-token", "0");
  expect(new Set(await attack(open))).toEqual(new Set(["in"]));
  await using server = await startDefended("--accept-rate-per-token", "1");
  const codes = await attack(server);
  expect(codes.filter((code) => code === "in").length).toBeLessThanOrEqual(40);
  expect(codes).toContainEqual([3010, true]);
  expect(await metric(server, 'tagcast_connections_ended_total{reason="too-many-connects"}')).toBeGreaterThan(0);
}, 20_000);
