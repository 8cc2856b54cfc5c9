/** Managed tokens, the admin token, and word of every change. */
import { describe, expect, test } from "bun:test";
import { openAuthenticator } from "../../../src/auth/authenticator.ts";
import { MemoryTokens } from "../../../src/auth/memory-tokens.ts";
import type { CredentialChange } from "../../../src/core/authenticator.ts";
import { operations } from "../../../src/core/grants.ts";
import type { Identity } from "../../../src/core/identity.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import type { TokenStore } from "../../../src/core/token-store.ts";
import { FakeClock } from "../../harness/clock.ts";
import { mint, outcome, secret } from "./mint.ts";

const adminToken = "correct horse battery";

async function open(wrap: (store: MemoryTokens) => TokenStore = (store) => store) {
  const clock = new FakeClock();
  const store = new MemoryTokens(clock);
  const auth = await openAuthenticator({
    applications: [{ name: "main", keys: [{ algorithm: "HS256", secret }] }],
    store: wrap(store),
    adminToken,
    clock,
    logger: silentLogger,
  });
  const changes: CredentialChange[] = [];
  auth.onChange((change) => changes.push(change));
  return { auth, clock, store, changes, enter: (token: string) => outcome(() => auth.authenticate(token)) };
}

test("a JWT is checked without asking the store, which may be away", async () => {
  const away = () => Promise.reject(new Error("away"));
  const { enter, clock } = await open((store) => Object.assign(store, { find: away }));
  const jwt = await mint({ sub: "s", exp: clock.wallMs() / 1000 + 60, grants: {} });
  expect(await enter(jwt)).toMatchObject({ subject: "s" });
  expect(await enter("tct_other")).toBe("unavailable");
});

describe("a managed token", () => {
  test("is answered without a promise, compiled once", async () => {
    const { auth, store } = await open();
    const created = store.create({
      name: "n",
      app: "acme",
      client: "press-7",
      grants: { "dev/${client}/#": ["publish"], "x/${sub}": ["read"] },
      deny: { "dev/press-7/off": ["publish"] },
      connectionsMax: 2,
      messagesPerSecond: 0,
      bytesPerSecond: 5000,
    });
    const identity = auth.authenticate(created.secret) as Identity;
    expect(identity).toMatchObject({
      app: "acme",
      subject: `token:${created.token.id}`,
      client: "press-7",
      expiresAtMs: null,
      tokenId: created.token.id,
      connectionsMax: 2,
      messagesPerSecond: 0,
      bytesPerSecond: 5000,
    });
    expect(identity.grants.allows("publish", "dev/press-7/on")).toBe(true);
    expect(identity.grants.allows("publish", "dev/press-7/off")).toBe(false);
    expect(identity.grants.allows("history", `x/token:${created.token.id}`)).toBe(true);
    expect(auth.authenticate(created.secret)).toBe(identity);
  });

  test("is refused from its expiry on, and one that never was, differently only to its holder", async () => {
    const { clock, store, enter } = await open();
    const { secret: held } = store.create({ name: "n", grants: {}, expiresAtMs: clock.wallMs() + 1000 });
    clock.advance(999);
    expect(await enter(held)).toMatchObject({ expiresAtMs: clock.wallMs() + 1 });
    clock.advance(1);
    expect(await enter(held)).toBe("expired-token");
    expect(await enter(`${held.slice(0, -1)}${held.endsWith("A") ? "B" : "A"}`)).toBe("invalid-token");
  });

  test("is no longer good once it is revoked, by id or by subject", async () => {
    const { store, enter } = await open();
    const first = store.create({ name: "n", subject: "ann", grants: {} });
    const second = store.create({ name: "n", subject: "ann", grants: {} });
    store.revoke(first.token.id);
    expect(await enter(first.secret)).toBe("invalid-token");
    expect(await enter(second.secret)).toMatchObject({ subject: "ann" });
    store.revokeIssued({ app: "main", subject: "ann" });
    expect(await enter(second.secret)).toBe("invalid-token");
  });

  test("made after its subject was revoked is good", async () => {
    const { clock, store, enter } = await open();
    store.revokeIssued({ app: "main", subject: "ann" });
    clock.advance(1);
    const { secret: held } = store.create({ name: "n", subject: "ann", grants: {} });
    expect(await enter(held)).toMatchObject({ subject: "ann" });
  });
});

describe("the admin token", () => {
  test("may do everything in application main", async () => {
    const { auth } = await open();
    const identity = auth.authenticate(adminToken) as Identity;
    expect(identity).toMatchObject({ app: "main", subject: "admin", tokenId: "admin", expiresAtMs: null });
    expect(operations.every((each) => identity.grants.allowsAll(each, "#"))).toBe(true);
  });

  test("is refused when a character differs, is missing or is added", async () => {
    const { enter } = await open();
    for (const near of [adminToken.slice(1), `${adminToken} `, adminToken.toUpperCase(), ""])
      expect(await enter(near)).toBe("invalid-token");
  });
});

describe("a store that answers later", () => {
  test("is waited for", async () => {
    let held = "";
    const { enter } = await open((store) => {
      held = store.create({ name: "n", subject: "late", grants: {} }).secret;
      return {
        ...bind(store),
        find: (hash) => Promise.resolve(store.find(hash)),
      };
    });
    expect(await enter(held)).toMatchObject({ subject: "late" });
    expect(await enter("tct_other")).toBe("invalid-token");
    expect(await enter(await mint({ sub: "j", exp: 1_800_000_000 }))).toMatchObject({ subject: "j" });
  });

  test("and fails makes the credential unavailable, not invalid", async () => {
    const { enter } = await open((store) => ({ ...bind(store), find: () => Promise.reject(new Error("gone")) }));
    expect(await enter("tct_other")).toBe("unavailable");
    expect(await enter(adminToken)).toMatchObject({ subject: "admin" });
  });
});

describe("changes", () => {
  test("tell edits with the new identity, which is what authenticates from then on", async () => {
    const { auth, store, changes } = await open();
    const { token, secret: held } = store.create({ name: "n", grants: { a: ["publish"] } });
    store.edit(token.id, { grants: { b: ["publish"] }, expiresAtMs: 1_900_000_000_000 });
    expect(changes).toHaveLength(1);
    const [change] = changes;
    if (change?.kind !== "edited") throw new Error("Not an edit");
    expect(change.identity).toMatchObject({ tokenId: token.id, expiresAtMs: 1_900_000_000_000 });
    expect(change.identity.grants.allows("publish", "a")).toBe(false);
    expect(auth.authenticate(held)).toBe(change.identity);
  });

  test("tell revocations with the fields that sessions must match", async () => {
    const { clock, store, changes } = await open();
    const { token } = store.create({ name: "n", app: "acme", grants: {} });
    store.revoke(token.id);
    store.revokeIssued({ app: "main", jti: "j" });
    store.revokeIssued({ app: "main", subject: "ann", issuedBeforeMs: 5 });
    store.revokeIssued({ app: "main", subject: "bob" });
    expect(changes).toEqual([
      { kind: "revoked", app: "acme", tokenId: token.id },
      { kind: "revoked", app: "main", tokenId: "jwt:j" },
      { kind: "revoked", app: "main", subject: "ann", issuedBeforeMs: 5 },
      { kind: "revoked", app: "main", subject: "bob", issuedBeforeMs: clock.wallMs() + 1 },
    ]);
  });

  test("are not told of a new token, a new name or an edit that changes nothing", async () => {
    const { store, changes } = await open();
    const { token } = store.create({ name: "n", grants: { a: ["publish"] } });
    store.edit(token.id, { name: "m" });
    store.edit(token.id, { grants: { a: ["publish"] } });
    expect(changes).toEqual([]);
  });
});

/** The store's methods as own properties, each still called on the store. */
function bind(store: MemoryTokens): TokenStore {
  return {
    find: (hash) => store.find(hash),
    list: () => store.list(),
    create: (draft) => store.create(draft),
    edit: (id, patch) => store.edit(id, patch),
    revoke: (id) => store.revoke(id),
    revokeIssued: (draft) => store.revokeIssued(draft),
    revocations: () => store.revocations(),
    withdraw: (id) => store.withdraw(id),
    isRevoked: (issued) => store.isRevoked(issued),
    onChange: (listener) => store.onChange(listener),
  };
}
