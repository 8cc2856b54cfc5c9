/** Logins: tickets that nobody else can make, that live for a short time, and that end with what they stand for. */
import { describe, expect, test } from "bun:test";
import { openAuthenticator } from "../../../src/auth/authenticator.ts";
import { seal, ticketKey, unseal } from "../../../src/auth/login-ticket.ts";
import { type LoginOptions, TicketLogins } from "../../../src/auth/logins.ts";
import { MemoryTokens } from "../../../src/auth/memory-tokens.ts";
import type { CredentialChange } from "../../../src/core/authenticator.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { FakeClock } from "../../harness/clock.ts";
import { mint, outcome, secret } from "./mint.ts";

const minute = 60_000;
const place = "cookie";

async function open(options: Partial<LoginOptions> = {}) {
  const clock = new FakeClock(1_700_000_000_000);
  const store = new MemoryTokens(clock);
  const authenticator = await openAuthenticator({
    applications: [{ name: "main", keys: [{ algorithm: "HS256", secret }] }],
    store,
    adminToken: "admin-token-of-a-test",
    clock,
    logger: silentLogger,
  });
  const make = (more: Partial<LoginOptions> = {}) =>
    new TicketLogins({
      authenticator,
      store,
      clock,
      key: null,
      ttlMs: 60 * minute,
      maxMs: 600 * minute,
      ...options,
      ...more,
    });
  const logins = make();
  const { token, secret: managed } = store.create({ name: "n", subject: "ann", grants: { "a/#": ["read"] } });
  return { clock, store, authenticator, logins, make, token, managed };
}

describe("a ticket", () => {
  const key = ticketKey("k");
  const ticket = { id: "0".repeat(32), sinceMs: 1, madeMs: 2, keepsake: { hash: "h" } };

  test("opens with its key and in its place alone, and not where a bit was changed", () => {
    const text = seal(ticket, place, key);
    expect(unseal(text, place, key)).toEqual(ticket);
    expect(seal(ticket, place, key)).not.toBe(text);
    expect(unseal(text, "elsewhere", key)).toBe(null);
    expect(unseal(text, place, ticketKey("l"))).toBe(null);
    for (let i = 4; i < text.length; i += 7) {
      const changed = text.slice(0, i) + (text[i] === "A" ? "B" : "A") + text.slice(i + 1);
      expect(unseal(changed, place, key)).toBe(null);
    }
    for (const other of ["", "tcl_", "tcl_AAAA", text.slice(4), text.slice(0, -1)])
      expect(unseal(other, place, key)).toBe(null);
  });

  test("does not hold the secret that it stands for, nor show anything", () => {
    expect(Buffer.from(seal(ticket, place, key).slice(4), "base64url").toString("latin1")).not.toContain("keepsake");
  });
});

describe("a login", () => {
  test("speaks for whom its credential speaks for, of every kind, and ends before its ticket does", async () => {
    const { clock, logins, managed } = await open();
    const jwt = await mint({ sub: "joe", exp: clock.wallMs() / 1000 + 86_400, jti: "j", grants: { b: ["publish"] } });
    for (const [credential, subject, tokenId] of [
      [managed, "ann", expect.any(String)],
      [jwt, "joe", "jwt:j"],
      ["admin-token-of-a-test", "admin", "admin"],
    ] as const) {
      const { text, endsAtMs } = logins.open(credential, place);
      expect(text).not.toContain(credential);
      expect(endsAtMs).toBe(clock.wallMs() + 60 * minute);
      expect(await outcome(() => logins.identify(text, place))).toMatchObject({
        subject,
        tokenId,
        login: { id: expect.stringMatching(/^[0-9a-f]{32}$/) },
        expiresAtMs: clock.wallMs() + 45 * minute,
      });
    }
  });

  test("is over with its credential, where that ends sooner", async () => {
    const { clock, logins, store } = await open();
    const expiresAtMs = clock.wallMs() + minute;
    const { secret: short } = store.create({ name: "n", grants: {}, expiresAtMs });
    const { text } = logins.open(short, place);
    expect(await outcome(() => logins.identify(text, place))).toMatchObject({ expiresAtMs });
    clock.advance(minute);
    expect(await outcome(() => logins.identify(text, place))).toBe("expired-token");
  });

  test("has an id of its own each time", async () => {
    const { logins, managed } = await open();
    const ids = new Set<unknown>();
    for (let i = 0; i < 10; i++) {
      const found = await logins.identify(logins.open(managed, place).text, place);
      ids.add(found.login?.id);
    }
    expect(ids.size).toBe(10);
  });

  test("is over once it was not used for the life of a ticket, and goes on where its ticket is renewed", async () => {
    const { clock, logins, managed } = await open();
    const first = logins.open(managed, place).text;
    clock.advance(30 * minute - 1);
    expect(logins.renew(first, place)).toBe(null);
    clock.advance(1);
    const second = logins.renew(first, place)?.text ?? "";
    const [a, b] = [await logins.identify(first, place), await logins.identify(second, place)];
    expect([a.login?.id === b.login?.id, a.expiresAtMs]).toEqual([true, b.expiresAtMs]);
    clock.advance(30 * minute);
    expect(await outcome(() => logins.identify(first, place))).toBe("expired-token");
    expect(await outcome(() => logins.identify(second, place))).toMatchObject({ subject: "ann" });
    expect(logins.renew(first, place)).toBe(null);
  });

  test("does not outlast its bound, however often it is renewed; without a bound it does", async () => {
    for (const [maxMs, expected] of [
      [120 * minute, "expired-token"],
      [0, "in"],
    ] as const) {
      const { clock, logins, managed } = await open({ maxMs });
      let { text } = logins.open(managed, place);
      for (let i = 0; i < 4; i++) {
        clock.advance(30 * minute - 1);
        text = (logins.renew(text, place) ?? { text }).text;
      }
      clock.advance(4);
      const found = await outcome(() => logins.identify(text, place));
      expect(typeof found === "string" ? found : "in").toBe(expected);
    }
  });

  test("ends with its token at once, and follows its edits", async () => {
    const { logins, store, managed, token } = await open();
    const { text } = logins.open(managed, place);
    store.edit(token.id, { grants: { b: ["publish"] } });
    const found = await logins.identify(text, place);
    expect([found.grants.allows("publish", "b"), found.grants.allows("subscribe", "a/1")]).toEqual([true, false]);
    store.revoke(token.id);
    expect(await outcome(() => logins.identify(text, place))).toBe("invalid-token");
  });

  test("that is ended takes every ticket of it along and no other, and what it let in is told to end", async () => {
    const { clock, logins, store, authenticator, managed } = await open();
    const changes: CredentialChange[] = [];
    authenticator.onChange((change) => changes.push(change));
    const { text: first } = logins.open(managed, place);
    const { text: other } = logins.open(managed, place);
    clock.advance(30 * minute);
    const second = logins.renew(first, place)?.text ?? "";
    const identity = await logins.identify(second, place);
    await logins.end(identity);
    for (const text of [first, second]) expect(await outcome(() => logins.identify(text, place))).toBe("expired-token");
    expect(await outcome(() => logins.identify(other, place))).toMatchObject({ subject: "ann" });
    expect(changes).toEqual([{ kind: "revoked", app: "main", login: identity.login?.id ?? "" }]);
    expect(store.isRevoked({ app: "main", jti: `login:${identity.login?.id}`, subject: "ann", issuedAtMs: 0 })).toBe(
      true,
    );
    await logins.end(await authenticator.authenticate(managed));
    expect(changes).toHaveLength(1);
  });

  test("does not come back once its end is forgotten, by a ticket that was made by a clock ahead of the others", async () => {
    const { clock, logins, make, managed, store } = await open({ key: "k".repeat(32) });
    const { text: first } = logins.open(managed, place);
    clock.advance(30 * minute);
    const second = make({ clock: new FakeClock(clock.wallMs() + 5000) }).renew(first, place)?.text ?? "";
    await logins.end(await logins.identify(first, place));
    clock.advance(60 * minute + 1000);
    // Now the store drops what has no end to wait for.
    store.revokeIssued({ app: "main", jti: "another" });
    expect(await outcome(() => logins.identify(second, place))).toBe("expired-token");
  });

  test("is known to every server with the same key, and to no other", async () => {
    const { logins, make, managed } = await open({ key: "k".repeat(32) });
    const { text } = logins.open(managed, place);
    expect(await outcome(() => make().identify(text, place))).toMatchObject({ subject: "ann" });
    expect(await outcome(() => make({ key: null }).identify(text, place))).toBe("expired-token");
    expect(await outcome(() => make({ key: "l".repeat(32) }).identify(text, place))).toBe("expired-token");
  });
});
