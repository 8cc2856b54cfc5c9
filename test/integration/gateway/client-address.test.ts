/** Who the client is, wherever it is told, with and without a proxy that is trusted. */
import { expect, test } from "bun:test";
import { EventClient } from "../../harness/event-client.ts";
import { startServer, type TestServer } from "../../harness/server.ts";
import { Caller } from "../api/caller.ts";

const headers = { "X-Forwarded-For": "203.0.113.9, 192.0.2.7" };

async function addresses(server: TestServer): Promise<readonly unknown[]> {
  const { body } = await new Caller(server).get("/v1/connections");
  const { connections } = body as { connections: readonly { remoteAddress: string }[] };
  return connections.map(({ remoteAddress }) => remoteAddress);
}

async function tell(server: TestServer): Promise<void> {
  await using client = await server.connect({ headers });
  await using events = await EventClient.open(`${server.http}/events?tags=a`, { headers });
  const wrong = await new Caller(server, "no-such-token").call("/v1/connections", { headers });
  expect(wrong.status).toBe(401);
  expect([client.received.length, events.ended]).toEqual([1, false]);
  const [socket, stream] = await addresses(server);
  const [refused] = server.log.of("credential refused");
  expect([socket, stream, refused?.fields["from"]]).toEqual(Array(3).fill(socket));
  expect(server.log.of("session opened").map(({ fields }) => fields["from"])).toEqual([socket]);
}

test("is the peer where no proxy is trusted", async () => {
  await using server = await startServer();
  await tell(server);
  expect(server.log.of("session opened")[0]?.fields["from"]).toBe("127.0.0.1");
});

test("is whom the trusted proxy names", async () => {
  await using server = await startServer({ flags: ["--trusted-proxies", "10.0.0.0/8, 127.0.0.1"] });
  await tell(server);
  expect(server.log.of("session opened")[0]?.fields["from"]).toBe("192.0.2.7");
});
