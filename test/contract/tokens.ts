/**
 * What every store of managed tokens must do, through the contract of `src/core/token-store.ts` alone. A test of a store calls
 * `tokenStoreContract` with a way to open two views of one store: where it is in one process alone they are the same.
 */
import { describe, expect, test } from "bun:test";
import { hashOf } from "../../src/auth/secrets.ts";
import { type StoreChange, type TokenStore, TokenStoreError } from "../../src/core/token-store.ts";
import { Conditions } from "../harness/deadline.ts";

export interface OpenedStores {
  readonly one: TokenStore;
  readonly other: TokenStore;
  /** Settles once `other` has noticed what was done before, if it needs to be told to look. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

const grants = { "plant/#": ["read"] } as const;

/** Stores with what their listeners heard. */
class Stage implements AsyncDisposable {
  readonly one: TokenStore;
  readonly other: TokenStore;
  readonly heard: StoreChange[] = [];
  readonly #opened: OpenedStores;
  readonly #conditions = new Conditions();

  constructor(opened: OpenedStores) {
    this.#opened = opened;
    this.one = opened.one;
    this.other = opened.other;
    this.other.onChange((change) => {
      this.heard.push(change);
      this.#conditions.check();
    });
  }

  /** Waits until the other has heard of so many changes; their kinds. */
  async kinds(count: number): Promise<readonly string[]> {
    await this.settle();
    const kinds = () => this.heard.map(({ kind }) => kind);
    await this.#conditions.until(
      () => this.heard.length >= count || undefined,
      () => `${count} changes; ${kinds().join()}`,
    );
    return kinds();
  }

  settle(): Promise<void> {
    return this.#opened.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.close();
  }
}

/** Registers the suite. `open` gives an empty store. */
export function tokenStoreContract(name: string, open: () => Promise<OpenedStores>): void {
  const stage = async () => new Stage(await open());
  describe(`${name} keeps the contract of token stores:`, () => {
    test("a token is found by the hash of its secret, there and elsewhere, with what it was created with", async () => {
      await using stores = await stage();
      const { one, other } = stores;
      const draft = { app: "acme", name: "Pump 7", subject: "pump", client: "pump-7", connectionsMax: 2 };
      const { token, secret } = await one.create({ ...draft, grants, deny: { "plant/x": ["read"] }, expiresAtMs: 5 });
      expect(token).toMatchObject({ ...draft, grants, deny: { "plant/x": ["read"] }, expiresAtMs: 5 });
      expect(token.hash).toBe(hashOf(secret));
      expect(secret).toMatch(/^tct_[\w-]{43}$/);
      expect(await one.find(hashOf(secret))).toEqual(token);
      await stores.settle();
      expect(await other.find(hashOf(secret))).toEqual(token);
      expect(await one.find(hashOf("tct_other"))).toBeNull();
      expect(await other.list()).toEqual([token]);
      expect(JSON.stringify(await other.list())).not.toContain(secret);
    });

    test("what a draft leaves out has its default, and ids differ", async () => {
      await using stores = await stage();
      const { token } = await stores.one.create({ name: "a", grants });
      const { token: second } = await stores.one.create({ name: "a", grants });
      expect(token).toMatchObject({ app: "main", subject: `token:${token.id}`, client: null, deny: {} });
      expect(token).toMatchObject({ expiresAtMs: null, connectionsMax: null });
      expect(second.id).not.toBe(token.id);
      expect((await stores.one.list()).map(({ id }) => id).toSorted()).toEqual([token.id, second.id].toSorted());
    });

    test("what is invalid is refused, all of it told, and nothing is kept", async () => {
      await using stores = await stage();
      const { token } = await stores.one.create({ name: "a", grants });
      const refused = async (run: () => unknown) => {
        const error = await Promise.try(run).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(TokenStoreError);
        return error as TokenStoreError;
      };
      const error = await refused(() => stores.one.create({ name: "", grants, connectionsMax: 0 }));
      expect([error.reason, error.message]).toEqual(["invalid", expect.stringMatching(/name.*connectionsMax/)]);
      expect((await refused(() => stores.one.edit(token.id, { expiresAtMs: -1 }))).reason).toBe("invalid");
      expect((await refused(() => stores.one.revokeIssued({ app: "main" }))).reason).toBe("invalid");
      expect(await stores.one.list()).toEqual([token]);
    });

    test("an edit changes what it names, at once, and both views hear of it", async () => {
      await using stores = await stage();
      const { token, secret } = await stores.one.create({ name: "a", grants, connectionsMax: 3 });
      await stores.settle();
      const edited = await stores.one.edit(token.id, { grants: { a: ["publish"] }, connectionsMax: null });
      expect(edited).toEqual({ ...token, grants: { a: ["publish"] }, connectionsMax: null });
      expect(await stores.one.find(hashOf(secret))).toEqual(edited);
      expect(await stores.kinds(1)).toEqual(["edited"]);
      expect(stores.heard[0]).toEqual({ kind: "edited", token: edited! });
      expect(await stores.other.find(hashOf(secret))).toEqual(edited);
      expect(await stores.one.edit("none", { name: "b" })).toBeNull();
    });

    test("a new name alone is no change of what a token may do", async () => {
      await using stores = await stage();
      const { token } = await stores.one.create({ name: "a", grants });
      await stores.settle();
      await stores.one.edit(token.id, { name: "b" });
      await stores.one.revoke(token.id);
      expect(await stores.kinds(1)).toEqual(["revoked"]);
    });

    test("a revoked token is gone for ever, and both views hear of it", async () => {
      await using stores = await stage();
      const { token, secret } = await stores.one.create({ name: "a", grants });
      await stores.settle();
      expect(await stores.one.revoke(token.id)).toEqual(token);
      expect(await stores.kinds(1)).toEqual(["revoked"]);
      expect([await stores.one.find(hashOf(secret)), await stores.other.find(hashOf(secret))]).toEqual([null, null]);
      expect([await stores.one.revoke(token.id), await stores.one.list()]).toEqual([null, []]);
    });

    test("a revocation of what was issued matches by jti, and by subject and time, in its application", async () => {
      await using stores = await stage();
      const { one, other } = stores;
      await one.revokeIssued({ app: "main", jti: "j" });
      await one.revokeIssued({ app: "main", subject: "s", issuedBeforeMs: 1000 });
      expect(await stores.kinds(2)).toEqual(["issuedRevoked", "issuedRevoked"]);
      const issued = { app: "main", jti: null, subject: "x", issuedAtMs: 5 };
      for (const store of [one, other]) {
        expect(store.isRevoked({ ...issued, jti: "j" })).toBe(true);
        expect(store.isRevoked({ ...issued, jti: "j", app: "acme" })).toBe(false);
        expect(store.isRevoked({ ...issued, subject: "s", issuedAtMs: 999 })).toBe(true);
        expect(store.isRevoked({ ...issued, subject: "s", issuedAtMs: 1000 })).toBe(false);
        expect(store.isRevoked(issued)).toBe(false);
      }
    });

    test("revocations are listed by both views until they are taken back", async () => {
      await using stores = await stage();
      const { one, other } = stores;
      const byJti = await one.revokeIssued({ app: "main", jti: "j" });
      const bySubject = await one.revokeIssued({ app: "acme", subject: "s" });
      expect(await stores.kinds(2)).toEqual(["issuedRevoked", "issuedRevoked"]);
      expect(byJti).toMatchObject({ app: "main", jti: "j", subject: null, issuedBeforeMs: null, expiresAtMs: null });
      expect(bySubject).toMatchObject({ app: "acme", jti: null, subject: "s" });
      const ids = async (store: TokenStore) => (await store.revocations()).map(({ id }) => id);
      for (const store of [one, other]) {
        expect((await ids(store)).toSorted()).toEqual([byJti.id, bySubject.id].toSorted());
      }
      expect(await other.withdraw(byJti.id)).toEqual(byJti);
      expect(await other.withdraw(byJti.id)).toBeNull();
      // Another change, by which it is known that the first view has heard of the withdrawal.
      const { id } = await one.revokeIssued({ app: "main", jti: "k" });
      await stores.settle();
      for (const store of [one, other]) {
        expect((await ids(store)).toSorted()).toEqual([bySubject.id, id].toSorted());
        expect(store.isRevoked({ app: "main", jti: "j", subject: "x", issuedAtMs: 5 })).toBe(false);
      }
    });

    test("edits made at once by both views are all made", async () => {
      await using stores = await stage();
      const names = Array.from({ length: 8 }, (_, i) => `token ${i}`);
      const made = await Promise.all(
        names.map(async (name, i) => await (i % 2 ? stores.one : stores.other).create({ name, grants })),
      );
      const revoked = made.slice(0, 2).map(({ token }) => token.id);
      await Promise.all(revoked.map(async (id, i) => await (i % 2 ? stores.one : stores.other).revoke(id)));
      await stores.settle();
      const left = (await stores.other.list()).map(({ name }) => name).toSorted();
      expect(left).toEqual(names.slice(2));
    });
  });
}
