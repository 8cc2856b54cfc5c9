/** What stores hold: edits, bounds of revocations, and which changes are told. */
import { describe, expect, test } from "bun:test";
import { MemoryTokens } from "../../../src/auth/memory-tokens.ts";
import {
  changesBetween,
  emptyState,
  pruned,
  readToken,
  revocationKeepMs,
  revocationsKept,
  stateSchema,
  withCreated,
  withEdited,
  withoutToken,
  withRevocation,
} from "../../../src/auth/token-state.ts";
import { type ManagedToken, TokenStoreError, type Revocation, type TokenDraft } from "../../../src/core/token-store.ts";
import { FakeClock } from "../../harness/clock.ts";

const now = 1_700_000_000_000;
const draft: TokenDraft = { name: "n", grants: { "a/#": ["read"] } };

describe("a created token", () => {
  test("has a secret of 32 random bytes that the state does not hold", () => {
    const { state, created } = withCreated(emptyState, draft, now);
    expect(created.secret).toMatch(/^tct_[\w-]{43}$/);
    expect(JSON.stringify(state)).not.toContain(created.secret.slice(4));
    expect(created.token.hash).toBe(new Bun.CryptoHasher("sha256").update(created.secret).digest("hex"));
    expect(withCreated(state, draft, now).created.secret).not.toBe(created.secret);
  });

  test("fills in what was not said", () => {
    const { token } = withCreated(emptyState, draft, now).created;
    expect(token).toMatchObject({
      app: "main",
      subject: `token:${token.id}`,
      client: null,
      deny: {},
      expiresAtMs: null,
    });
    expect(token.createdAtMs).toBe(now);
  });

  const bad: [name: string, draft: TokenDraft][] = [
    ["an invalid pattern", { ...draft, grants: { "a/#/b": ["read"] } }],
    ["an unknown template in deny", { ...draft, deny: { "a/${user}": ["read"] } }],
    ["an empty name", { ...draft, name: "" }],
    ["an application's name with a slash", { ...draft, app: "a/b" }],
    ["no connections", { ...draft, connectionsMax: 0 }],
    ["less than no messages", { ...draft, messagesPerSecond: -1 }],
    ["a client of 65 bytes", { ...draft, client: "x".repeat(65) }],
    ["a time that is none", { ...draft, expiresAtMs: Number.NaN }],
  ];
  for (const [name, each] of bad)
    test(`with ${name} is refused`, () => expect(() => withCreated(emptyState, each, now)).toThrow(TokenStoreError));
});

describe("edits", () => {
  const { state, created } = withCreated(emptyState, { ...draft, expiresAtMs: now + 1, connectionsMax: 4 }, now);
  const { id } = created.token;

  test("change what they name and keep the rest", () => {
    const { token } = withEdited(state, id, { expiresAtMs: null });
    expect(token).toEqual({ ...created.token, expiresAtMs: null });
    expect(withEdited(state, id, { deny: { b: ["read"] } }).token).toEqual({ ...created.token, deny: { b: ["read"] } });
  });

  test("of rates take them away by null, and tokens written without any have none", () => {
    const limited = withEdited(state, id, { messagesPerSecond: 5, bytesPerSecond: 0 });
    expect(limited.token).toEqual({ ...created.token, messagesPerSecond: 5, bytesPerSecond: 0 });
    expect(withEdited(limited.state, id, { messagesPerSecond: null }).token?.messagesPerSecond).toBeNull();
    expect(changesBetween(state, limited.state)).toEqual([{ kind: "edited", token: limited.token as ManagedToken }]);
    const { messagesPerSecond: _messages, bytesPerSecond: _bytes, ...older } = created.token;
    expect(readToken(JSON.stringify(older))).toEqual(created.token);
  });

  test("of an unknown id change nothing", () => {
    expect(withEdited(state, "zzz", { name: "x" })).toEqual({ state, token: null });
    expect(withoutToken(state, "zzz")).toEqual({ state, token: null });
  });

  test("leave the state before them as it was", () => {
    const before = structuredClone(state);
    withEdited(state, id, { name: "other" });
    withoutToken(state, id);
    expect(state).toEqual(before);
  });

  test("of whom a token speaks for are told as its end", () => {
    const other = { ...state, tokens: [{ ...created.token, subject: "somebody" }] };
    expect(changesBetween(state, other)).toEqual([{ kind: "revoked", token: created.token }]);
    const rehashed = { ...state, tokens: [{ ...created.token, hash: "0".repeat(64) }] };
    expect(changesBetween(state, rehashed)).toEqual([{ kind: "revoked", token: created.token }]);
  });

  test("of the expiry alone are told", () => {
    const next = withEdited(state, id, { expiresAtMs: now + 2 });
    expect(changesBetween(state, next.state)).toEqual([{ kind: "edited", token: next.token! }]);
  });
});

describe("revocations", () => {
  const entry = (each: Partial<Revocation>): Revocation => ({
    app: "main",
    jti: "j",
    subject: null,
    issuedBeforeMs: null,
    expiresAtMs: null,
    revokedAtMs: now,
    ...each,
  });

  test("need a jti or a subject", () => {
    expect(() => withRevocation(emptyState, { app: "main" }, now)).toThrow(TokenStoreError);
  });

  test("match on every field that they have, within their application", () => {
    const store = new MemoryTokens(new FakeClock(now));
    store.revokeIssued({ app: "main", jti: "j" });
    store.revokeIssued({ app: "main", subject: "ann", issuedBeforeMs: 1000 });
    store.revokeIssued({ app: "main", jti: "k", subject: "bob", issuedBeforeMs: 1000 });
    const issued = { app: "main", jti: null as string | null, subject: "s", issuedAtMs: 0 };
    expect(store.isRevoked(issued)).toBe(false);
    expect(store.isRevoked({ ...issued, jti: "j", issuedAtMs: now * 2 })).toBe(true);
    expect(store.isRevoked({ ...issued, app: "acme", jti: "j" })).toBe(false);
    expect(store.isRevoked({ ...issued, subject: "ann", issuedAtMs: 999 })).toBe(true);
    expect(store.isRevoked({ ...issued, subject: "ann", issuedAtMs: 1000 })).toBe(false);
    expect(store.isRevoked({ ...issued, jti: "k" })).toBe(false);
    expect(store.isRevoked({ ...issued, jti: "k", subject: "bob" })).toBe(true);
    expect(store.isRevoked({ ...issued, jti: "k", subject: "bob", issuedAtMs: 1000 })).toBe(false);
  });

  test("of a subject concern what was issued in the very same second, whose fraction a JWT does not tell", () => {
    const store = new MemoryTokens(new FakeClock(now + 900));
    store.revokeIssued({ app: "main", subject: "ann" });
    expect(store.isRevoked({ app: "main", jti: null, subject: "ann", issuedAtMs: now })).toBe(true);
    expect(store.isRevoked({ app: "main", jti: null, subject: "ann", issuedAtMs: now + 1000 })).toBe(false);
  });

  test("replace what they imply, and nothing more", () => {
    let { state } = withRevocation(emptyState, { app: "main", subject: "ann", issuedBeforeMs: 1000 }, now);
    ({ state } = withRevocation(state, { app: "main", subject: "ann", issuedBeforeMs: 500 }, now));
    expect(state.revoked.map((each) => each.issuedBeforeMs)).toEqual([1000, 500]);
    ({ state } = withRevocation(state, { app: "main", subject: "ann", issuedBeforeMs: 2000 }, now));
    expect(state.revoked.map((each) => each.issuedBeforeMs)).toEqual([2000]);
  });

  test("are dropped when what they concern is over", () => {
    const kept = [entry({ expiresAtMs: now + 1 }), entry({ expiresAtMs: null })];
    expect(pruned([entry({ expiresAtMs: now }), ...kept], now)).toEqual(kept);
  });

  test("are dropped for their age only where there are very many", () => {
    const old = entry({ revokedAtMs: now - revocationKeepMs });
    const fresh = entry({ revokedAtMs: now - revocationKeepMs + 1 });
    expect(pruned([old], now)).toEqual([old]);
    expect(
      pruned(
        Array.from({ length: revocationsKept + 5 }, () => old),
        now,
      ),
    ).toHaveLength(revocationsKept);
    expect(
      pruned(
        Array.from({ length: revocationsKept + 5 }, () => fresh),
        now,
      ),
    ).toHaveLength(revocationsKept + 5);
  });
});

describe("the schema of the file", () => {
  const { state } = withCreated(emptyState, draft, now);
  const file = { version: 1, ...state };
  const [token] = state.tokens;

  test("takes what the store writes", () => {
    expect(stateSchema.parse(JSON.parse(JSON.stringify(file)))).toEqual(state);
  });

  const bad: [name: string, value: unknown][] = [
    ["another version", { ...file, version: 2 }],
    // Taken over silently it would be a token that never expires.
    ["a mistyped field", { ...file, tokens: [{ ...token, expiresAt: 5 }] }],
    ["two tokens of one id", { ...file, tokens: [token, { ...token, hash: "0".repeat(64) }] }],
    ["two tokens of one secret", { ...file, tokens: [token, { ...token, id: "other" }] }],
    ["a hash that is none", { ...file, tokens: [{ ...token, hash: "secret" }] }],
    ["a revocation of nobody", { ...file, revoked: [{ app: "main", revokedAtMs: 1 }] }],
    ["an invalid pattern", { ...file, tokens: [{ ...token, grants: { "#/a": ["read"] } }] }],
    ["no tokens", { version: 1 }],
    ["null", null],
  ];
  for (const [name, value] of bad)
    test(`refuses ${name}`, () => expect(stateSchema.safeParse(value).success).toBe(false));
});
