import { expect, test } from "bun:test";
import { type ClientState, connect, TagcastError } from "../../../src/client/client.ts";
import { op } from "../../../src/wire/messages.ts";
import { event, reconnect, setUp } from "./support.ts";

test("connect sends op 1 with what was asked for, and is active when it is answered", async () => {
  await using setup = setUp({ token: "secret", client: "me", echo: false, ping: 60 });
  const { client, server } = setup;
  expect(client.state).toBe("connecting");
  const ready = client.ready();
  const connection = await server.welcome();
  await ready;
  expect(connection.options).toEqual({ token: "secret", client: "me", echo: false, ping: 60 });
  expect([client.state, client.session]).toEqual(["active", "s1"]);
});

test("a lost connection is made again after a back-off with full jitter", async () => {
  await using setup = setUp({ random: () => 0.5 });
  const { client, server, clock } = setup;
  const states: ClientState[] = [];
  client.on("state", (state) => void states.push(state));
  (await server.welcome()).cut();
  await event(client, "state", (state) => state === "waiting");
  clock.advance(249);
  expect(client.state).toBe("waiting");
  clock.advance(1);
  expect(client.state).toBe("connecting");
  // The second attempt in a row waits twice as long.
  (await server.welcome()).cut();
  await event(client, "state", (state) => state === "waiting");
  clock.advance(499);
  expect(client.state).toBe("waiting");
  clock.advance(1);
  await server.welcome();
  await client.ready();
  expect(states).toEqual(["active", "waiting", "connecting", "active", "waiting", "connecting", "active"]);
});

test("a connection that held for a while makes the next back-off short again", async () => {
  await using setup = setUp({ random: () => 0.5 });
  const { client, server, clock } = setup;
  for (let i = 0; i < 3; i++) {
    const connection = await server.welcome();
    await client.ready();
    clock.advance(5_000);
    const waiting = event(client, "state", (state) => state === "waiting");
    connection.cut();
    await waiting;
    clock.advance(250);
    expect(client.state).toBe("connecting");
  }
});

test("a server that is not there is tried again", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  server.refuse(true);
  const error = await event(client, "error");
  expect([error.kind, error.retry]).toEqual(["disconnected", true]);
  server.refuse(false);
  clock.advance(0);
  await server.welcome();
  await client.ready();
});

test("a failed attempt that is no more than an error is tried again too", async () => {
  let attempts = 0;
  class Unreachable {
    binaryType = "";
    readyState = 0;
    bufferedAmount = 0;
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror: ((event: never) => void) | null = null;
    constructor() {
      attempts++;
      queueMicrotask(() => this.onerror?.({ message: "Connection refused" } as never));
    }
    send(): void {}
    close(): void {}
  }
  await using setup = setUp({ webSocket: Unreachable });
  const error = await event(setup.client, "error");
  expect([error.code, error.message, setup.client.state]).toEqual([1006, "Connection refused", "waiting"]);
  const again = event(setup.client, "error");
  setup.clock.advance(0);
  await again;
  expect(attempts).toBe(2);
});

test("a server that takes the connection and says nothing is given up after a while", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.accept();
  await connection.next(op.connect);
  const waiting = event(client, "state", (state) => state === "waiting");
  clock.advance(15_000);
  await waiting;
  await connection.closed;
});

test("op 22 says how long to wait", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const waiting = event(client, "state", (state) => state === "waiting");
  const told = event(client, "error");
  connection.send([op.disconnect, 3000, "The server is shutting down", 7_000]);
  await waiting;
  expect((await told).code).toBe(3000);
  await connection.closed;
  clock.advance(6_999);
  expect(client.state).toBe("waiting");
  clock.advance(1);
  await server.welcome();
  await client.ready();
});

test.each([
  ["op 22", 3500],
  ["op 22", 3999],
  ["the close frame", 3502],
])("a code in 3500–3999 in %s (%i) closes the client for good", async (where, code) => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const waiting = client.publish("t", 1);
  if (where === "op 22") connection.send([op.disconnect, code, "No", 0]);
  else connection.close(code);
  const reason = await client.closed;
  expect([reason?.kind, reason?.code, client.state]).toEqual(["closed", code, "closed"]);
  expect(waiting).rejects.toBe(reason!);
  expect(client.ready()).rejects.toBe(reason!);
  expect(() => client.subscribe("t")).toThrow(TagcastError);
  expect(clock.timers).toBe(0);
});

test.each([1001, 1006, 3499, 4000])("close code %i reconnects", async (code) => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const waiting = event(client, "state", (state) => state === "waiting");
  if (code === 1006) connection.cut();
  else connection.close(code);
  await waiting;
  clock.advance(0);
  await server.welcome();
  await client.ready();
});

test("a token that is not valid closes the client; one that could not be checked now is tried again", async () => {
  await using setup = setUp({ token: "t" });
  const { client, server, clock } = setup;
  const waiting = event(client, "state", (state) => state === "waiting");
  await (await server.accept()).refuse(op.connect, 115);
  await waiting;
  clock.advance(0);
  await (await server.accept()).refuse(op.connect, 117);
  expect((await client.closed)?.code).toBe(117);
});

test("an expired token is asked for again, and only then", async () => {
  let asked = 0;
  await using setup = setUp({ token: async () => `token ${++asked}` });
  const { client, server, clock } = setup;
  let connection = await server.welcome();
  await client.ready();
  expect(connection.options["token"]).toBe("token 1");

  connection = await reconnect(setup, connection);
  expect(connection.options["token"]).toBe("token 1");

  let waiting = event(client, "state", (state) => state === "waiting");
  connection.send([op.disconnect, 3003, "The token has expired", 0]);
  await waiting;
  clock.advance(0);
  connection = await server.accept();
  waiting = event(client, "state", (state) => state === "waiting");
  const refused = await connection.refuse(op.connect, 118);
  expect(refused[2]).toEqual({ token: "token 2" });
  await waiting;
  clock.advance(0);
  expect((await server.welcome()).options["token"]).toBe("token 3");
});

test("an expired token that is no callback closes the client", async () => {
  await using setup = setUp({ token: "t" });
  await (await setup.server.accept()).refuse(op.connect, 118);
  expect((await setup.client.closed)?.code).toBe(118);
});

test("a token that was valid once and is not any more is asked for again, once", async () => {
  let asked = 0;
  await using setup = setUp({ token: () => `token ${++asked}` });
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const waiting = event(client, "state", (state) => state === "waiting");
  connection.cut();
  await waiting;
  clock.advance(0);
  const again = event(client, "state", (state) => state === "waiting");
  await (await server.accept()).refuse(op.connect, 117);
  await again;
  clock.advance(0);
  const refused = await (await server.accept()).refuse(op.connect, 117);
  expect(refused[2]).toEqual({ token: "token 2" });
  expect((await client.closed)?.code).toBe(117);
});

test("a token callback that fails is told and called again", async () => {
  let asked = 0;
  const token = () => {
    if (++asked === 1) throw new Error("The login server is away");
    return "t";
  };
  await using setup = setUp({ token });
  const { client, server, clock } = setup;
  expect((await event(client, "error")).message).toBe("The login server is away");
  clock.advance(0);
  await server.welcome();
  await client.ready();
});

test("a token is refreshed in band before it expires, again and again", async () => {
  let asked = 0;
  await using setup = setUp({ token: () => `token ${++asked}` });
  const { client, server, clock } = setup;
  const now = clock.wallMs() / 1000;
  const connection = await server.welcome({ ping: 0, expires: now + 3_600 });
  await client.ready();
  clock.advance(3_539_999);
  expect(asked).toBe(1);
  clock.advance(1);
  const first = await connection.answer(op.refresh, { expires: now + 7_200 });
  expect(first[2]).toBe("token 2");
  const pong = client.history("t");
  await connection.answer(op.history, { position: [1, 0], messages: [], more: false });
  await pong;
  clock.advance(3_600_000);
  expect((await connection.next(op.refresh))[2]).toBe("token 3");
});

test("a refresh that is refused is told and tried again", async () => {
  let asked = 0;
  await using setup = setUp({ token: () => `token ${++asked}` });
  const { client, server, clock } = setup;
  const connection = await server.welcome({ ping: 0, expires: clock.wallMs() / 1000 + 100 });
  await client.ready();
  const told = event(client, "error");
  clock.advance(90_000);
  await connection.refuse(op.refresh, 119);
  expect((await told).code).toBe(119);
  await Promise.resolve();
  clock.advance(9_000);
  expect((await connection.next(op.refresh))[2]).toBe("token 3");
});

test("silence is pinged, and a connection without an answer is replaced", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome({ ping: 10 });
  await client.ready();
  clock.advance(10_000);
  await connection.next(op.ping);
  const waiting = event(client, "state", (state) => state === "waiting");
  clock.advance(15_000);
  await waiting;
  clock.advance(0);
  await server.welcome();
  await client.ready();
});

test("a connection on which something arrives is not pinged", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome({ ping: 10 });
  await client.ready();
  for (let i = 0; i < 3; i++) {
    clock.advance(9_000);
    const published = client.publish("t", i);
    await connection.answer(op.publish);
    await published;
  }
});

test("a frame that is not well-formed costs the connection, not the client", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  const waiting = event(client, "state", (state) => state === "waiting");
  connection.sendBytes(Uint8Array.of(0x93, 18));
  await waiting;
  clock.advance(0);
  await server.welcome();
  await client.ready();
});

test("ops and fields that this version does not know are ignored, errors without a ref are told", async () => {
  await using setup = setUp();
  const { client, server } = setup;
  const connection = await server.welcome({ invented: true });
  await client.ready();
  const told = event(client, "error");
  connection.send([29, "new"], [16, 12_345, {}], ["odd"], [op.error, 0, 102, "Not a well-formed message", 3, "more"]);
  expect((await told).code).toBe(102);
  expect(client.state).toBe("active");
});

test("close ends the connection and every timer, and can be called twice and at any time", async () => {
  await using setup = setUp();
  const { client, server, clock } = setup;
  const connection = await server.welcome();
  await client.ready();
  client.close();
  client.close();
  expect(await client.closed).toBeNull();
  expect(await connection.closed).toBe(1000);
  expect(clock.timers).toBe(0);
  expect(client.publish("t", 1)).rejects.toMatchObject({ kind: "closed" });
});

test("a URL that is none closes the client and says why", async () => {
  const client = connect("nowhere");
  expect((await client.closed)?.message).toContain("nowhere");
});
