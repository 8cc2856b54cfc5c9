import { afterEach, beforeEach, expect, type Mock, spyOn, test } from "bun:test";
import { join } from "node:path";
import { run } from "../../../src/cli/pub.ts";
import { op } from "../../../src/wire/messages.ts";
import { recordedIo, type RecordedIo } from "../../harness/cli-io.ts";
import { type FakeServer, type Parts, startFakeServer } from "../../harness/fake-server.ts";

let random: Mock<typeof Math.random>;
// The commands have no clock of their own: without jitter they reconnect at once.
beforeEach(() => void (random = spyOn(Math, "random").mockReturnValue(0)));
afterEach(() => random.mockRestore());

/** A server that answers everything, publishes with growing offsets. */
function openServer(): { server: FakeServer; published: Parts[] } & AsyncDisposable {
  const published: Parts[] = [];
  const server = startFakeServer((connection, message) => {
    const [code, ref] = message;
    if (code === op.connect) connection.send([op.ok, ref, { ping: 25, payloadMax: 1024 }]);
    else if (code === op.publish) {
      published.push(message);
      if (ref !== 0) connection.send([op.ok, ref, { position: [7, published.length] }]);
    } else connection.send([op.ok, ref, {}]);
  });
  return { server, published, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function ioFor(server: FakeServer, stdin: string | ReadableStream<Uint8Array> = "", signal?: AbortSignal): RecordedIo {
  const io = recordedIo({ TAGCAST_URL: server.url, TAGCAST_TOKEN: "secret" }, signal);
  return Object.assign(io, { stdin: typeof stdin === "string" ? new Blob([stdin]).stream() : stdin });
}

function payloads(published: readonly Parts[]): unknown[] {
  return published.map((message) => message[3]);
}

test("pub publishes an argument as text, prints nothing, and exits 0 when it is acknowledged", async () => {
  await using fake = openServer();
  const io = ioFor(fake.server);
  expect(await run(["a/b", "21.5"], io)).toBe(0);
  expect(fake.published.map((message) => message.slice(2, 4))).toEqual([["a/b", "21.5"]]);
  const connection = await fake.server.accept();
  expect((await connection.next(op.connect))[2]).toEqual({ token: "secret" });
  expect([io.outLines, io.errLines]).toEqual([[], []]);
});

test("pub --json publishes the value, with forms for what JSON lacks", async () => {
  await using fake = openServer();
  const io = ioFor(fake.server);
  expect(await run(["t", '{"a": [1, 2.5, null], "b": {"$bin": "AQI="}}', "--json"], io)).toBe(0);
  expect(payloads(fake.published)).toEqual([{ a: [1, 2.5, null], b: Buffer.from([1, 2]) }]);
});

test("pub --file --raw publishes the bytes of a file", async () => {
  await using fake = openServer();
  const io = ioFor(fake.server);
  expect(
    await run(["t", "--file", join(import.meta.dir, "../../../LICENSE"), "--raw", "--url", fake.server.url], io),
  ).toBe(1);
  expect(io.errLines).toEqual(["tagcast pub: message 1: The payload is larger than allowed (110)"]);
  expect(await run(["t", "--file", join(import.meta.dir, "../../../.gitignore"), "--raw"], io)).toBe(0);
  const content = await Bun.file(join(import.meta.dir, "../../../.gitignore")).bytes();
  expect(payloads(fake.published)).toEqual([Buffer.from(content)]);
});

test("pub publishes one message a line of standard input, also an unfinished last one", async () => {
  await using fake = openServer();
  expect(await run(["t"], ioFor(fake.server, "one\n\ntwo\r\nthrée"))).toBe(0);
  expect(payloads(fake.published)).toEqual(["one", "", "two", "thrée"]);
  expect(await run(["t", "-", "--json"], ioFor(fake.server, '1\n{"x":2}\n'))).toBe(0);
  expect(payloads(fake.published).slice(4)).toEqual([1, { x: 2 }]);
  expect(await run(["t", "--raw"], ioFor(fake.server, "one\ntwo\n"))).toBe(0);
  expect(payloads(fake.published).slice(6)).toEqual([Buffer.from("one\ntwo\n")]);
});

test("pub --verbose prints where each message went", async () => {
  await using fake = openServer();
  const io = ioFor(fake.server, "a\nb\n");
  expect(await run(["t", "--verbose"], io)).toBe(0);
  expect(io.outLines).toEqual(["t 7:1", "t 7:2"]);
});

test("a line that is not what was promised is told, the others are published, and the exit status is 1", async () => {
  await using fake = openServer();
  const io = ioFor(fake.server, '1\n{"broken\n3\n');
  expect(await run(["t", "--json"], io)).toBe(1);
  expect(payloads(fake.published)).toEqual([1, 3]);
  expect(io.errLines).toHaveLength(1);
  expect(io.errLines[0]).toStartWith("tagcast pub: message 2: JSON Parse error");
});

test("standard input is read no faster than acknowledgements come", async () => {
  await using server = startFakeServer();
  let pulled = 0;
  const stdin = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulled++;
        if (pulled > 5000) controller.close();
        else controller.enqueue(Buffer.from(`line ${pulled}\n`));
      },
    },
    { highWaterMark: 0 },
  );
  const done = run(["t"], ioFor(server, stdin));
  const connection = await server.welcome();
  const waiting: Parts[] = [];
  for (let i = 0; i < 1024; i++) waiting.push(await connection.next(op.publish));
  expect(pulled).toBe(1024);
  for (const message of waiting) connection.send([op.ok, message[1], {}]);
  for (let i = 1024; i < 5000; i++) await connection.answer(op.publish);
  expect(await done).toBe(0);
});

test("what was not acknowledged when the connection was lost is published again with the same id", async () => {
  await using server = startFakeServer();
  const io = ioFor(server, "a\nb\nc\n");
  const done = run(["t"], io);
  const first = await server.welcome();
  const sent = [await first.answer(op.publish), await first.next(op.publish), await first.next(op.publish)];
  // The acknowledgement of the first has arrived when something later has been answered.
  first.send([op.disconnect, 3000, "The server is shutting down", 0]);
  const second = await server.welcome();
  const again = [await second.answer(op.publish), await second.answer(op.publish)];
  expect(again.map((message) => message.slice(3))).toEqual(sent.slice(1).map((message) => message.slice(3)));
  expect(await done).toBe(0);
  expect(io.errLines).toEqual([
    `tagcast pub: no connection to ${server.url}: The server is shutting down (3000); trying again`,
    "tagcast pub: connected",
  ]);
});

test("a publish that is refused ends pub with the code, and reading with it", async () => {
  await using server = startFakeServer();
  const stdin = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(Buffer.from("a\n")) });
  const io = ioFor(server, stdin);
  const done = run(["secret/x"], io);
  await (await server.welcome()).refuse(op.publish, 103);
  expect(await done).toBe(1);
  expect(io.errLines).toEqual(["tagcast pub: message 1: error 103 (103)"]);
});

test("a token that is not valid ends pub with one clear line", async () => {
  await using server = startFakeServer();
  const io = ioFor(server);
  const done = run(["t", "x", "--token", "wrong"], io);
  const connection = await server.accept();
  const message = await connection.next(op.connect);
  connection.send([op.error, message[1], 117, "The token is not valid"]);
  expect(await done).toBe(1);
  expect(io.errLines).toEqual(["tagcast pub: The token is not valid (117)"]);
});

test("an interrupt ends pub with 130 and says what is not acknowledged", async () => {
  await using server = startFakeServer();
  server.refuse(true);
  const controller = new AbortController();
  const io = ioFor(
    server,
    new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(Buffer.from("a\nb\n")) }),
    controller.signal,
  );
  const told = spyOn(io, "err").mockImplementationOnce((text) => {
    io.errLines.push(text);
    controller.abort("SIGINT");
  });
  expect(await run(["t"], io)).toBe(130);
  expect(told).toHaveBeenCalled();
  expect(io.errLines.at(-1)).toBe("tagcast pub: interrupted, 2 messages are not acknowledged");
});

test("pub --no-ack sends without ids, and ends when everything has arrived", async () => {
  await using fake = openServer();
  expect(await run(["t", "--no-ack"], ioFor(fake.server, "a\nb\n"))).toBe(0);
  expect(fake.published).toEqual([
    [op.publish, 0, "t", "a"],
    [op.publish, 0, "t", "b"],
  ]);
});

test("pub --no-ack exits 1 when the server refuses something", async () => {
  await using server = startFakeServer();
  const io = ioFor(server);
  const done = run(["t", "x", "--no-ack"], io);
  const connection = await server.welcome();
  await connection.next(op.publish);
  connection.send([op.error, 0, 103, "The token does not grant this"]);
  await connection.answer(op.ping);
  expect(await done).toBe(1);
  expect(io.errLines).toEqual(["tagcast pub: The token does not grant this (103)"]);
});

test("pub --id names the message", async () => {
  await using fake = openServer();
  expect(await run(["t", "x", "--id", "mine"], ioFor(fake.server))).toBe(0);
  expect(fake.published[0]?.[4]).toEqual({ id: "mine" });
});

test.each([
  [[], "an argument is missing"],
  [["a/#", "x"], 'not a tag to publish to: "a/#"'],
  [["t", "x", "y"], 'unexpected argument "y"'],
  [["t", "x", "--json", "--raw"], "--text, --json and --raw exclude each other"],
  [["t", "x", "--file", "f"], "a payload and --file exclude each other"],
  [["t", "--id", "i"], "--id is for one message"],
  [["t", "x", "--url", "nowhere"], 'not a URL of a server: "nowhere"'],
  [["t", "x", "--token", "a", "--token-file", "b"], "--token and --token-file exclude each other"],
  [["t", "x", "--token-file", "nowhere"], 'there is no token file "nowhere"'],
  [["t", "--file", "/no/such/file"], 'cannot read "/no/such/file"'],
])("pub %j is refused", (argv, message) => {
  expect(run(argv, recordedIo())).rejects.toThrow(message);
});

test("pub --help tells every flag", async () => {
  const io = recordedIo();
  expect(await run(["--help"], io)).toBe(0);
  for (const flag of [
    "--json",
    "--text",
    "--raw",
    "--file",
    "--no-ack",
    "--id",
    "--url",
    "--token",
    "--token-file",
    "--verbose",
  ]) {
    expect(io.outLines.join("\n")).toContain(flag);
  }
});
