import { afterEach, beforeEach, expect, type Mock, spyOn, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { run } from "../../../src/cli/sub.ts";
import { op } from "../../../src/wire/messages.ts";
import { recordedIo, type RecordedIo } from "../../harness/cli-io.ts";
import { type FakeServer, startFakeServer } from "../../harness/fake-server.ts";

let random: Mock<typeof Math.random>;
// The commands have no clock of their own: without jitter they reconnect at once.
beforeEach(() => void (random = spyOn(Math, "random").mockReturnValue(0)));
afterEach(() => random.mockRestore());

function ioFor(server: FakeServer, signal?: AbortSignal): RecordedIo {
  return recordedIo({ TAGCAST_URL: server.url }, signal);
}

test("sub prints tag and payload, and ends after as many messages as were asked for", async () => {
  await using server = startFakeServer();
  const io = ioFor(server);
  const done = run(["a", "b/#", "--count", "5"], io);
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { position: [7, 0] });
  await connection.answer(op.subscribe, { unseen: [] });
  connection.send(
    [op.message, "a", 1, "text as it is"],
    [op.message, "b/x", null, { n: 1, ok: true }, null, "b/#"],
    [op.message, "a", 2, 21.5],
    [op.message, "a", 3, Uint8Array.of(1, 2)],
    [op.message, "a", 4, null],
    [op.message, "a", 5, "one too many"],
  );
  expect(await done).toBe(0);
  expect(io.outLines).toEqual(["a text as it is", 'b/x {"n":1,"ok":true}', "a 21.5", 'a {"$bin":"AQI="}', "a null"]);
  expect(io.errLines).toEqual([]);
});

test("nothing in a message can move the terminal's cursor or break a line", async () => {
  await using server = startFakeServer();
  const text = "\u001b[2J\r\n\u0007\u009b31m\u202e";
  for (const flags of [[], ["--json"]]) {
    const io = ioFor(server);
    const done = run(["+/b", "--count", "1", ...flags], io);
    const connection = await server.welcome();
    await connection.answer(op.subscribe, { unseen: [] });
    connection.send([op.message, "\u001b[31m/b", null, text, { reply: "\u001bc" }, "+/b"]);
    expect(await done).toBe(0);
    // oxlint-disable-next-line no-control-regex
    expect(io.outLines.join("")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    if (flags.length > 0)
      expect(JSON.parse(io.outLines[0]!)).toEqual({
        tag: "\u001b[31m/b",
        offset: null,
        payload: text,
        meta: { reply: "\u001bc" },
      });
  }
});

test("sub --json prints a line a message with its position and what JSON lacks in a form of its own", async () => {
  await using server = startFakeServer();
  const io = ioFor(server);
  const done = run(["t", "--json", "--count", "3"], io);
  const connection = await server.welcome();
  await connection.answer(op.subscribe, { position: [7, 0] });
  connection.send([op.message, "t", 1, { b: Uint8Array.of(255) }, { id: "x" }], [op.message, "t", 2, "s"]);
  const large = Uint8Array.of(0x94, op.message, ...encode("t"), 3, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255);
  connection.sendBytes(large);
  expect(await done).toBe(0);
  expect(io.outLines).toEqual([
    '{"tag":"t","offset":1,"epoch":7,"payload":{"b":{"$bin":"/w=="}},"meta":{"id":"x"}}',
    '{"tag":"t","offset":2,"epoch":7,"payload":"s"}',
    '{"tag":"t","offset":3,"epoch":7,"payload":{"$int":"18446744073709551615"}}',
  ]);
});

test("sub goes on from its position after a restart of the server, and says what it missed", async () => {
  await using server = startFakeServer();
  const io = ioFor(server);
  const done = run(["t", "--since", "7:4", "--json", "--count", "2"], io);
  const first = await server.welcome();
  const request = await first.answer(op.subscribe, { position: [7, 5], start: 4, recovered: true });
  expect(request[3]).toEqual({ since: [7, 4] });
  first.send([op.message, "t", 5, "a"], [op.disconnect, 3000, "The server is shutting down", 0]);
  const second = await server.welcome();
  const again = await second.next(op.subscribe);
  expect(again[3]).toEqual({ since: [7, 5] });
  second.send(
    [op.ok, again[1], { position: [8, 3], start: 2, recovered: false }],
    [op.gap, "t", null, 2, { code: 203, epoch: 8 }],
    [op.message, "t", 3, "b"],
  );
  expect(await done).toBe(0);
  expect(io.outLines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { tag: "t", offset: 5, epoch: 7, payload: "a" },
    { gap: { tag: "t", pattern: "t", reason: "told", from: null, to: 2, code: 203, count: null, epoch: 8 } },
    { tag: "t", offset: 3, epoch: 8, payload: "b" },
  ]);
  expect(io.errLines).toEqual([
    `tagcast sub: no connection to ${server.url}: The server is shutting down (3000); trying again`,
    "tagcast sub: connected",
    "tagcast sub: t: messages up to 2 are missing (The log was lost or replaced (203))",
  ]);
});

test("a refused pattern is told, the others go on", async () => {
  await using server = startFakeServer();
  const io = ioFor(server);
  const done = run(["secret/#", "t", "--last", "3", "--count", "1"], io);
  const connection = await server.welcome();
  await connection.refuse(op.subscribe, 103);
  const request = await connection.answer(op.subscribe, { position: [1, 1], start: 0 });
  expect(request[3]).toEqual({ last: 3 });
  connection.send([op.message, "t", 1, "x"]);
  expect(await done).toBe(0);
  expect(io.errLines).toEqual(['tagcast sub: "secret/#": error 103 (103)']);
  expect(io.outLines).toEqual(["t x"]);
});

test("sub exits 1 when every pattern is refused", async () => {
  await using server = startFakeServer();
  const io = ioFor(server);
  const done = run(["a", "b"], io);
  const connection = await server.welcome();
  await connection.refuse(op.subscribe, 103);
  await connection.answer(op.subscribe, {});
  connection.send([op.unsubscribed, "b", 2000, "No longer granted"]);
  expect(await done).toBe(1);
  expect(io.errLines).toEqual(['tagcast sub: "a": error 103 (103)', 'tagcast sub: "b": No longer granted (2000)']);
});

test("sub exits 1 with one clear line when the token is not valid", async () => {
  await using server = startFakeServer();
  const io = ioFor(server);
  const done = run(["a", "b"], io);
  await (await server.accept()).refuse(op.connect, 117);
  expect(await done).toBe(1);
  expect(io.errLines).toEqual(["tagcast sub: error 117 (117)"]);
});

test("an interrupt ends sub with 130", async () => {
  await using server = startFakeServer();
  const controller = new AbortController();
  const done = run(["t"], ioFor(server, controller.signal));
  await (await server.welcome()).answer(op.subscribe, {});
  controller.abort("SIGINT");
  expect(await done).toBe(130);
});

test("sub --presence prints who is there, who comes and who goes", async () => {
  await using server = startFakeServer();
  const controller = new AbortController();
  const io = ioFor(server, controller.signal);
  const done = run(["room", "--presence"], io);
  const connection = await server.welcome();
  const request = await connection.answer(op.subscribe, {
    presence: {
      version: 1,
      count: 2,
      members: [
        ["ann", 1, null],
        ["bob", 2, null],
      ],
    },
  });
  expect(request[3]).toEqual({ presence: true });
  const changed = Promise.withResolvers<void>();
  const out = spyOn(io, "out").mockImplementation((text) => {
    if (io.outLines.push(text) === 2) changed.resolve();
  });
  connection.send([op.presenceChange, "room", 2, [["eve", 3, null]], [["ann", 1]], 2]);
  await changed.promise;
  out.mockRestore();
  controller.abort("SIGINT");
  expect(await done).toBe(130);
  expect(io.outLines).toEqual(["room 2 present: ann bob", "room 2 present: +eve -ann"]);
});

test.each([
  [[], "an argument is missing"],
  [["a/#/b"], 'not a tag or pattern: "a/#/b"'],
  [["a/#", "--since", "1:2"], "--since is for one tag"],
  [["a", "b", "--since", "1:2"], "--since is for one tag"],
  [["a", "--since", "0:2"], '--since must be epoch:offset, got "0:2"'],
  [["a", "--since", "1:2", "--last", "3"], "--since and --last exclude each other"],
  [["a", "--last", "0"], "--last must be a number from 1 to 4294967295"],
  [["a", "--count", "many"], "--count must be a number"],
  [["a/+", "--presence"], '--presence is for tags, not "a/+"'],
])("sub %j is refused", (argv, message) => {
  expect(run(argv, recordedIo())).rejects.toThrow(message);
});

test("sub --help tells every flag", async () => {
  const io = recordedIo();
  expect(await run(["--help"], io)).toBe(0);
  for (const flag of ["--since", "--last", "--json", "--count", "--presence", "--url", "--token", "--token-file"]) {
    expect(io.outLines.join("\n")).toContain(flag);
  }
});
