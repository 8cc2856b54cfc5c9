/** What credentials open and close, on connections that are open: applications, managed tokens, grants. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openFileTokens, type FileTokens } from "../../../src/auth/file-tokens.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import type { TokenDraft } from "../../../src/core/token-store.ts";
import { type Clock, systemClock } from "../../../src/lib/clock.ts";
import { op } from "../../../src/wire/messages.ts";
import { scratchDirectory, SocketClock, startServer } from "../../harness/server.ts";
import { mint } from "../../unit/auth/mint.ts";

const secrets = { main: "m".repeat(32), acme: "a".repeat(32), globex: "g".repeat(32) };
const keysOf = (name: string, secret: string) => `[[${name}]]\nalgorithm = "HS256"\nsecret = "${secret}"\n`;
const tenants = `
${keysOf("keys", secrets.main)}
${keysOf("applications.acme.keys", secrets.acme)}
[[applications.acme.tags]]
pattern = "log/#"
history = { size = 10 }
presence = true
${keysOf("applications.globex.keys", secrets.globex)}
[[applications.globex.tags]]
pattern = "log/#"
history = { size = 10 }
presence = true
`;

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const sign = (app: keyof typeof secrets, claims: object = {}) =>
  mint({ sub: "user", exp: inAnHour(), grants: { "#": ["readwrite"] }, ...claims }, {}, Buffer.from(secrets[app]));

/** A server with a token file, and the store that another process would edit it with. */
async function withTokens({ toml = "", clock = systemClock }: { toml?: string; clock?: Clock } = {}) {
  const scratch = scratchDirectory();
  const path = join(scratch.path, "tokens.json");
  const store = await openFileTokens({ path, clock, logger: silentLogger, follow: false });
  const server = await startServer({ toml, flags: ["--tokens", path], clock });
  return {
    server,
    store,
    /** A token, and once the server knows it. */
    async create(draft: Partial<TokenDraft>): Promise<Awaited<ReturnType<FileTokens["create"]>>> {
      const loaded = server.log.of("token file loaded").length;
      const created = await store.create({ name: "test", grants: { "#": ["readwrite"] }, ...draft });
      await server.log.untilHolds(() => server.log.of("token file loaded").length > loaded, "the token file is loaded");
      return created;
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await store.close();
      scratch[Symbol.dispose]();
    },
  };
}

describe("applications", () => {
  test("never see each other's messages, logs, members or reply tags of the same name", async () => {
    await using server = await startServer({ toml: tenants });
    await using acme = await server.connect({ token: await sign("acme"), options: { client: "anna" } });
    await using globex = await server.connect({ token: await sign("globex"), options: { client: "gus" } });
    await using main = await server.connect({ token: await sign("main") });
    for (const client of [acme, globex]) {
      const result = await client.ok(op.subscribe, "log/1", { presence: true });
      expect(result["presence"]).toMatchObject({ count: 1 });
    }
    for (const client of [acme, globex, main]) await client.ok(op.subscribe, "#");
    const first = await acme.ok(op.publish, "log/1", "of acme");
    const second = await globex.ok(op.publish, "log/1", "of globex");
    expect([first, second]).toMatchObject([
      { position: [expect.any(Number), 1] },
      { position: [expect.any(Number), 1] },
    ]);
    expect(await main.ok(op.publish, "log/1", "of main")).toEqual({});
    expect(await acme.payloads(2)).toEqual(["of acme", "of acme"]);
    expect(await globex.payloads(2)).toEqual(["of globex", "of globex"]);
    expect(await main.payloads(1)).toEqual(["of main"]);
    expect((await acme.ok(op.history, "log/1"))["messages"]).toEqual([[1, "of acme", null, expect.any(Number)]]);
    expect((await globex.ok(op.presence, "log/1"))["members"]).toEqual([["gus", expect.any(Number), null]]);
    expect(await main.refused(op.history, "log/1")).toBe(113);
    // A reply tag is known to whoever was given it, in its own application.
    await acme.ok(op.subscribe, `${String(acme.welcome["reply"])}/#`);
    await globex.ok(op.publish, `${String(acme.welcome["reply"])}/1`, "from next door");
    await acme.ok(op.publish, `${String(acme.welcome["reply"])}/1`, "from at home");
    expect((await acme.messages(3))[2]?.[3]).toBe("from at home");
  });

  test("take only tokens signed with their own keys", async () => {
    await using server = await startServer({ toml: tenants });
    await using acme = await server.connect({ token: await sign("acme") });
    await using client = await server.dial();
    expect(
      await client.refused(op.connect, {
        token: await mint({ sub: "x", exp: inAnHour() }, {}, Buffer.from("x".repeat(32))),
      }),
    ).toBe(117);
    expect((await client.ended()).farewell?.[1]).toBe(3500);
    // The same subject elsewhere is another.
    expect(await acme.refused(op.refresh, await sign("globex"))).toBe(119);
    expect(await acme.ok(op.refresh, await sign("acme"))).toEqual({ expires: expect.any(Number) });
  });

  test("that a token names and nobody configured have no tags, and their connections come and go", async () => {
    await using tokens = await withTokens();
    const { secret } = await tokens.create({ app: "ghost", connectionsMax: 1 });
    for (let i = 0; i < 2; i++) {
      await using client = await tokens.server.connect({ token: secret });
      expect(await client.refused(op.subscribe, "a")).toBe(103);
      expect(await client.refused(op.publish, "a", 1)).toBe(103);
      expect(await client.refused(op.history, "a")).toBe(103);
      await client.close();
      const closed = i + 1;
      await tokens.server.log.untilHolds(() => tokens.server.log.of("session closed").length === closed, "closed");
      expect(tokens.server.running.registry.size).toBe(0);
    }
  });
});

describe("a managed token edited in its file", () => {
  test("ends its sessions at once where it is revoked, and nobody else's", async () => {
    await using tokens = await withTokens();
    const [doomed, other] = [await tokens.create({}), await tokens.create({})];
    await using first = await tokens.server.connect({ token: doomed.secret });
    await using second = await tokens.server.dial({ headers: { Authorization: `Bearer ${doomed.secret}` } });
    await using spared = await tokens.server.connect({ token: other.secret });
    await tokens.store.revoke(doomed.token.id);
    for (const client of [first, second]) {
      expect(await client.ended()).toMatchObject({ code: 3502, farewell: [22, 3502, "The token was revoked", 0] });
    }
    expect(await spared.ok(op.ping)).toEqual({});
    await using late = await tokens.server.dial();
    expect(await late.refused(op.connect, { token: doomed.secret })).toBe(117);
  });

  test("ends the subscriptions that it grants no longer, and keeps the others", async () => {
    await using tokens = await withTokens();
    const { token, secret } = await tokens.create({ grants: { "a/#": ["read"], "b/#": ["readwrite"] } });
    await using client = await tokens.server.connect({ token: secret });
    for (const pattern of ["a/1", "a/+", "b/1", "b/#"]) await client.ok(op.subscribe, pattern);
    expect(await client.ok(op.publish, "b/1", 1)).toEqual({});
    await tokens.store.edit(token.id, { grants: { "a/1": ["read"], "b/+": ["subscribe"] } });
    const ended = [await client.next(op.unsubscribed), await client.next(op.unsubscribed)];
    expect(ended.map(([, pattern, code]) => [pattern, code])).toEqual([
      ["a/+", 2000],
      ["b/#", 2000],
    ]);
    // What it may publish is not remembered from before.
    expect(await client.refused(op.publish, "b/1", 2)).toBe(103);
    await using admin = await tokens.server.connect();
    await admin.ok(op.publish, ["a/1", "b/1", "b/1/x"], "after");
    await client.until(() => client.all(op.message).length >= 4, "what is left");
    expect(
      client
        .all(op.message)
        .slice(2)
        .map((message) => message[1]),
    ).toEqual(["a/1", "b/1"]);
    expect(await client.refused(op.unsubscribe, "b/#")).toBe(112);
  });

  test("ends a presence subscription whose presence it grants no longer", async () => {
    await using tokens = await withTokens({ toml: '[[tags]]\npattern = "#"\npresence = true\n' });
    const { token, secret } = await tokens.create({ grants: { "a/#": ["read"] } });
    await using client = await tokens.server.connect({ token: secret });
    await client.ok(op.subscribe, "a/1", { presence: true });
    await client.ok(op.subscribe, "a/2");
    await tokens.store.edit(token.id, { grants: { "a/#": ["subscribe"] } });
    expect((await client.next(op.unsubscribed)).slice(1, 3)).toEqual(["a/1", 2000]);
    await client.ok(op.subscribe, "a/1");
    expect(client.all(op.unsubscribed)).toHaveLength(1);
  });

  test("ends a session whose time it cuts short with op 22 3003", async () => {
    const clock = new SocketClock();
    await using tokens = await withTokens({ clock });
    const { token, secret } = await tokens.create({});
    await using client = await tokens.server.connect({ token: secret });
    await tokens.store.edit(token.id, { expiresAtMs: clock.wallMs() });
    await tokens.server.log.untilHolds(
      () => tokens.server.log.of("token file loaded").length === 2,
      "the edit is known",
    );
    clock.advance(1000);
    expect((await client.ended()).farewell?.[1]).toBe(3003);
  });
});

describe("grants", () => {
  const connect = async (claims: object, client?: string) => {
    const server = await startServer({ toml: tenants });
    const options = client === undefined ? {} : { client };
    const wire = await server.connect({ token: await sign("main", claims), options });
    return {
      ask: async (operation: number, ...fields: unknown[]) => {
        const [kind, , code] = await wire.request(operation, ...fields);
        return kind === op.ok ? "ok" : code;
      },
      async [Symbol.asyncDispose]() {
        await wire[Symbol.asyncDispose]();
        await server.stop();
      },
    };
  };

  test("cover a wildcard wholly or not at all", async () => {
    await using client = await connect({ grants: { "plant/+/temp": ["subscribe"], "plant/7/#": ["subscribe"] } });
    const asked = [
      "plant/7/#",
      "plant/+/temp",
      "plant/7/+",
      "plant/8/temp",
      "plant/+/+",
      "plant/#",
      "#",
      "+/7/temp",
      "plant/8/+",
    ];
    const answers = [];
    for (const pattern of asked) answers.push(await client.ask(op.subscribe, pattern));
    expect(answers).toEqual(["ok", "ok", "ok", "ok", 103, 103, 103, 103, 103]);
  });

  test("are beaten by denials, also where a wildcard only touches one", async () => {
    await using client = await connect({
      grants: { "#": ["readwrite"] },
      deny: { "secret/#": ["subscribe"], "ro/+": ["publish"] },
    });
    expect([
      await client.ask(op.subscribe, "#"),
      await client.ask(op.subscribe, "+/x"),
      await client.ask(op.subscribe, "secret"),
      await client.ask(op.subscribe, "open/#"),
      await client.ask(op.publish, "secret/x", 1),
      await client.ask(op.publish, "ro/x", 1),
      await client.ask(op.publish, ["open/x", "ro/x"], 1),
      await client.ask(op.publish, "ro/x/y", 1),
    ]).toEqual([103, 103, 103, "ok", "ok", 103, 103, "ok"]);
  });

  test("take ${sub} and ${client} from the credential alone", async () => {
    const grants = { "users/${sub}/#": ["subscribe"], "devices/${client}/#": ["subscribe"] };
    await using named = await connect({ sub: "ann", client: "pump", grants });
    expect([
      await named.ask(op.subscribe, "users/ann/#"),
      await named.ask(op.subscribe, "devices/pump/#"),
      await named.ask(op.subscribe, "users/bob/#"),
    ]).toEqual(["ok", "ok", 103]);
    await using unnamed = await connect({ sub: "ann", grants }, "pump");
    expect(await unnamed.ask(op.subscribe, "devices/pump/#")).toBe(103);
    await using sly = await connect({ sub: "a/#", grants });
    expect(await sly.ask(op.subscribe, "users/a/#")).toBe(103);
  });

  test("of everything still leave out the server's own tags", async () => {
    await using client = await connect({ grants: { "#": ["readwrite", "admin"], "$sys/#": ["readwrite"] } });
    const reply = `$reply/${"0".repeat(32)}`;
    expect([
      await client.ask(op.subscribe, "$sys/x"),
      await client.ask(op.publish, "$sys/x", 1),
      await client.ask(op.subscribe, `${reply}/x`),
      await client.ask(op.subscribe, "$reply/#"),
      await client.ask(op.subscribe, "$reply/+/x"),
      await client.ask(op.publish, reply, 1),
      await client.ask(op.publish, `${reply}/x`, 1),
      await client.ask(op.history, `${reply}/x`),
    ]).toEqual([103, 103, 103, 103, 103, 103, "ok", 103]);
  });
});
