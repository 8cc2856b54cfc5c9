/** Tag aliases as clients of the wire meet them, beside clients that know nothing of them. */
import { describe, expect, test } from "bun:test";
import { aliasesMax } from "../../../src/session/aliases.ts";
import { op } from "../../../src/wire/messages.ts";
import { adminToken, startServer, type TestServer } from "../../harness/server.ts";
import { WireClient } from "../../harness/wire-client.ts";
import { Caller } from "../api/caller.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 1000 }
`;

const aliased = (server: TestServer) => server.connect({ options: { alias: true } });

/** Subscribes to a tag; its alias. */
async function subscribe(client: WireClient, tag: string): Promise<number> {
  return (await client.ok(op.subscribe, tag))["alias"] as number;
}

describe("aliases", () => {
  test("are spoken only where op 1 asked for them, and in MessagePack", async () => {
    await using server = await startServer();
    await using one = await aliased(server);
    await using other = await server.connect();
    await using text = await server.connect({ lane: "json", options: { alias: true } });
    expect([one.welcome["alias"], other.welcome["alias"], text.welcome["alias"]]).toEqual([true, undefined, undefined]);
    expect(await other.ok(op.subscribe, "a")).toEqual({});
    expect(await text.ok(op.subscribe, "a")).toEqual({});
    expect(await one.ok(op.subscribe, "a")).toEqual({ alias: expect.any(Number) });
    expect(await other.ok(op.publish, "a", 1)).toEqual({});
    expect(await one.refused(op.publish, 4_000_000, 1)).toBe(108);
    expect(await other.refused(op.publish, 1, 1)).toBe(108);
    expect(await text.refused(op.publish, 1, 1)).toBe(108);
  });

  test("name the tag of a subscription to it, for all who were told the same, and nobody else", async () => {
    await using server = await startServer({ toml });
    await using one = await aliased(server);
    await using two = await aliased(server);
    await using other = await server.connect();
    await using text = await server.connect({ lane: "json" });
    for (const tag of ["a/b", "log/a"]) {
      const alias = await subscribe(one, tag);
      expect(await subscribe(two, tag)).toBe(alias);
      await other.ok(op.subscribe, tag);
      await text.ok(op.subscribe, tag);
      await other.ok(op.publish, tag, "x");
      const offset = tag === "log/a" ? 1 : null;
      for (const client of [one, two]) expect(await client.next(op.message)).toEqual([18, alias, offset, "x"]);
      for (const client of [other, text]) expect(await client.next(op.message)).toEqual([18, tag, offset, "x"]);
    }
  });

  test("are not used in copies for a pattern with wildcards", async () => {
    await using server = await startServer();
    await using client = await aliased(server);
    const alias = await subscribe(client, "a/b");
    expect(await client.ok(op.subscribe, "a/+")).toEqual({});
    await client.ok(op.publish, "a/b", 1);
    const copies = await client.messages(2);
    expect(copies).toContainEqual([18, alias, null, 1]);
    expect(copies).toContainEqual([18, "a/b", null, 1, null, "a/+"]);
  });

  test("stand for the tag of a publish, once an answer has told of them", async () => {
    await using server = await startServer({ toml });
    await using client = await aliased(server);
    await using other = await server.connect();
    await other.ok(op.subscribe, "a");
    await other.ok(op.subscribe, "log/a");
    const { alias: live } = await client.ok(op.publish, "a", 1);
    const first = await client.ok(op.publish, "log/a", 1, { id: "m" });
    expect(first).toEqual({ position: [expect.any(Number), 1], alias: expect.any(Number) });
    const again = await client.ok(op.publish, "log/a", 1, { id: "m" });
    expect(again).toEqual({ ...first, repeated: true });
    expect(await client.ok(op.publish, live, 2)).toEqual({});
    expect(await client.ok(op.publish, first["alias"], 2, { reply: "back" })).toMatchObject({
      position: [expect.any(Number), 2],
    });
    expect(await other.payloads(4)).toEqual([1, 1, 2, 2]);
    expect(other.all(op.message).at(-1)).toEqual([18, "log/a", 2, 2, { reply: "back" }]);
  });

  test("of one connection say nothing on another", async () => {
    await using server = await startServer();
    await using one = await aliased(server);
    await using other = await aliased(server);
    const { alias } = await one.ok(op.publish, "a", 1);
    expect(await other.refused(op.publish, alias, 1)).toBe(108);
  });

  test("are not told with ref 0, and what is received there names the tag", async () => {
    await using server = await startServer();
    await using client = await aliased(server);
    client.send([op.subscribe, 0, "a"]);
    client.send([op.publish, 0, "a", 1]);
    expect(await client.next(op.message)).toEqual([18, "a", null, 1]);
    expect(await client.refused(op.publish, 1, 1)).toBe(108);
  });

  test("grant nothing: a publish by one is refused as soon as the grant is gone", async () => {
    await using server = await startServer();
    const admin = new Caller(server);
    const draft = { name: "device", grants: { a: ["subscribe", "publish"] } };
    const { body } = await admin.call("/v1/tokens", { json: draft });
    const { token, secret } = body as { token: { id: string }; secret: string };
    await using device = await server.connect({ token: secret, options: { alias: true } });
    const alias = await subscribe(device, "a");
    expect(await device.ok(op.publish, alias, 1)).toEqual({});
    await admin.call(`/v1/tokens/${token.id}`, { method: "PATCH", json: { grants: { a: ["subscribe"] } } });
    expect(await device.refused(op.publish, alias, 1)).toBe(103);
    await using reader = await server.connect({ token: secret, options: { alias: true } });
    expect(await reader.refused(op.publish, await subscribe(reader, "a"), 1)).toBe(103);
  });

  test("name the tag also in what is recovered, and in what is retained", async () => {
    await using server = await startServer({ toml: `${toml}retain = true\n` });
    await using publisher = await server.connect();
    await publisher.ok(op.publish, "log/a", 1);
    await publisher.ok(op.publish, "log/a", 2);
    const { position } = await publisher.ok(op.history, "log/a");
    const [epoch] = position as [number, number];
    await using client = await aliased(server);
    const { alias } = await client.ok(op.subscribe, "log/a", { since: [epoch, 0] });
    expect(await client.messages(2)).toEqual([
      [18, alias, 1, 1],
      [18, alias, 2, 2],
    ]);
    await publisher.ok(op.publish, "log/a", 3);
    expect((await client.messages(3)).at(-1)).toEqual([18, alias, 3, 3]);
  });

  test("leave out the publisher that does not want its own messages back", async () => {
    await using server = await startServer();
    await using one = await aliased(server);
    await using two = await aliased(server);
    const alias = await subscribe(one, "a");
    await subscribe(two, "a");
    await one.ok(op.publish, alias, 1, { echo: false });
    await two.ok(op.publish, alias, 2);
    expect(await two.payloads(2)).toEqual([1, 2]);
    expect(await one.payloads(1)).toEqual([2]);
  });

  test("last as long as the connection, whoever else leaves", async () => {
    await using server = await startServer();
    await using client = await aliased(server);
    await using witness = await server.connect();
    await witness.ok(op.subscribe, "a");
    const alias = await subscribe(client, "a");
    await client.ok(op.unsubscribe, "a");
    await client.ok(op.publish, alias, 1);
    expect(await witness.payloads(1)).toEqual([1]);
    expect(await subscribe(client, "a")).toBe(alias);
  });

  test("are bounded for each connection: what is beyond goes by its name", async () => {
    await using server = await startServer();
    await using client = await WireClient.open(server.url, { token: adminToken, options: { alias: true } });
    for (let i = 0; i < aliasesMax; i++) client.send([op.publish, i + 10, `t/${i}`, i]);
    await client.until(() => client.all(op.ok).length > aliasesMax, "all answers");
    expect(await client.ok(op.publish, "one/more", 1)).toEqual({});
    expect(await client.ok(op.subscribe, "one/more")).toEqual({});
    await client.ok(op.publish, "one/more", 2);
    expect(await client.next(op.message)).toEqual([18, "one/more", null, 2]);
    expect(await client.ok(op.publish, "t/7", 1)).toEqual({ alias: expect.any(Number) });
  });
});
