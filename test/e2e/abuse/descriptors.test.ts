/**
 * Connections that send nothing are told to nobody, and each takes a file descriptor. At the limit the runtime's accept
 * loop spins and whoever is new hangs. Each attack runs with the defence, and again without it.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { op } from "../../../src/wire/messages.ts";
import { RawSocket } from "../../harness/raw-socket.ts";
import { type ServerProcess, startProcess, startServer } from "../../harness/server.ts";
import { SilentFlood } from "../../harness/silent-flood.ts";
import type { WireClient } from "../../harness/wire-client.ts";

const descriptors = 512;
const attempts = 600;
const clientCount = 8;

/** A server that may have few descriptors open. */
function startSmall(args: readonly string[]): Promise<ServerProcess> {
  const wrapper = (command: readonly string[]) => [
    "bash",
    "-c",
    `ulimit -n ${descriptors}; exec "$@"`,
    "bash",
    ...command,
  ];
  return startProcess({ args, wrapper });
}

const portOf = (server: ServerProcess) => Number(new URL(server.http).port);

/** Of a process's main thread, in seconds: what it ran, and what it wanted to run while others did. */
function timesOf(pid: number): { readonly ran: number; readonly waited: number } {
  const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, "utf8")
    .split(" ")
    .map((text) => Number(text) / 1e9);
  return { ran, waited };
}

/** What part of the time of `act` the process ran, and what part it ran or would have if it had the machine to itself. */
async function shareOf(
  pid: number,
  act: () => Promise<void>,
): Promise<{ readonly cpu: number; readonly wanted: number }> {
  const before = timesOf(pid);
  const beganAt = performance.now();
  await act();
  const seconds = (performance.now() - beganAt) / 1000;
  const after = timesOf(pid);
  const cpu = (after.ran - before.ran) / seconds;
  return { cpu, wanted: cpu + (after.waited - before.waited) / seconds };
}

/** Numbered messages, one every 20 ms, until it is disposed of. */
class Numbers implements Disposable {
  sent = 0;
  readonly #timer: Timer;

  constructor(publisher: WireClient) {
    this.#timer = setInterval(() => publisher.send([op.publish, 0, "numbers", this.sent++]), 20);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("600 silent connections to a server that may open 512 files", () => {
  test("leave who is connected alone, cost little, and keep new clients out only as long as they last", async () => {
    await using server = await startSmall([]);
    const clients = await Promise.all(upTo(clientCount).map(() => server.connect()));
    for (const client of clients) await client.ok(op.subscribe, "numbers");
    await using publisher = await server.connect();
    using numbers = new Numbers(publisher);
    await using flood = new SilentFlood(portOf(server));
    await flood.begin(attempts);
    await server.until(/"message":"too many open file descriptors/, "stderr");
    const [reader] = clients as [WireClient, ...WireClient[]];
    const { cpu } = await shareOf(server.pid, async () => {
      await reader.messages(numbers.sent + 100);
    });
    expect(cpu).toBeLessThan(0.2);
    // Refused at once: nobody is left to wonder.
    expect(await fetch(`${server.http}/healthz`).catch(String)).toContain("ECONNREFUSED");
    flood.end();
    await server.until(/"message":"fewer open file descriptors: listening again"/, "stderr");
    await using late = await server.connect();
    await late.ok(op.subscribe, "numbers");
    const [first] = await late.payloads(1);
    expect(first).toBeNumber();
    for (const client of clients) {
      expect(await client.payloads(Number(first) + 1)).toEqual(upTo(client.all(op.message).length));
      expect(client.all(op.gap)).toEqual([]);
      await client.close();
    }
    const authorization = `Bearer ${server.token}`;
    const metrics = await (await fetch(`${server.http}/metrics`, { headers: { authorization } })).text();
    expect(metrics).toContain("\ntagcast_listening 1\n");
    expect(metrics).toContain("\ntagcast_listening_pauses_total 1\n");
    expect(metrics).toContain(`\nprocess_max_fds ${descriptors}\n`);
  });

  test("without the mark make it spin, and new clients wait for ever", async () => {
    await using server = await startSmall(["--descriptors-max", "0"]);
    await using flood = new SilentFlood(portOf(server));
    await flood.begin(attempts);
    let answered = false;
    const { wanted } = await shareOf(server.pid, async () => {
      const asked = fetch(`${server.http}/healthz`, { signal: AbortSignal.timeout(2000) });
      answered = await asked.then(
        () => true,
        () => false,
      );
    });
    expect(answered).toBe(false);
    expect(wanted).toBeGreaterThan(0.5);
  });
});

describe("connections that never come to a request", () => {
  const beginnings = ["", "GE", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "];
  const whole = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const answers = ({ response }: RawSocket) => response.split("HTTP/1.1 200 OK").length - 1;

  // The runtime does this by itself, by a time that cannot be set: there is no run without it.
  test("are ended after some seconds, whatever drips in", async () => {
    await using server = await startServer();
    await using kept = await RawSocket.connect(server.url);
    kept.send(whole);
    await kept.until(() => answers(kept) === 1, "health");
    const doomed = await Promise.all(beginnings.map(() => RawSocket.connect(server.url)));
    for (const [i, text] of beginnings.entries()) if (text !== "") doomed[i]?.send(text);
    const over = ({ ended, closed }: RawSocket) => ended || closed;
    const drip = setInterval(() => {
      for (const socket of doomed.slice(1)) if (!over(socket)) socket.send("a");
    }, 250);
    try {
      for (const socket of doomed) await socket.until(() => over(socket), "its end", 16_000);
    } finally {
      clearInterval(drip);
    }
    // Who has had an answer may keep the connection for another request.
    kept.send(whole);
    await kept.until(() => answers(kept) === 2, "health again");
    for (const socket of doomed) await socket[Symbol.asyncDispose]();
  });
});
