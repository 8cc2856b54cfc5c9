/** The token file: what other processes write is noticed, nothing is lost between editors, and a crash leaves it whole. */
import { afterEach, describe, expect, test } from "bun:test";
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { type FileTokens, openFileTokens, pollIntervalMs } from "../../../src/auth/file-tokens.ts";
import { hashOf } from "../../../src/auth/secrets.ts";
import { type LogFields, type Logger, silentLogger } from "../../../src/core/logger.ts";
import { type StoreChange, TokenStoreError } from "../../../src/core/token-store.ts";
import { type Clock, systemClock } from "../../../src/lib/clock.ts";
import { FakeClock } from "../../harness/clock.ts";

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function newPath(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "tagcast-tokens-"));
  cleanUps.push(() => rm(directory, { recursive: true }));
  return join(directory, "tokens.json");
}

interface Opening {
  readonly clock?: Clock;
  readonly follow?: boolean;
  readonly logger?: Logger;
  readonly lockWaitMs?: number;
}

async function openAt(path: string, opening: Opening = {}): Promise<FileTokens> {
  const store = await openFileTokens({ path, clock: systemClock, logger: silentLogger, follow: false, ...opening });
  cleanUps.push(() => store.close());
  return store;
}

function recordedLogger() {
  const errors: [string, LogFields | undefined][] = [];
  return {
    errors,
    logger: { ...silentLogger, error: (message: string, fields?: LogFields) => errors.push([message, fields]) },
  };
}

function edit(...args: string[]): Promise<number> {
  const command = [process.execPath, join(import.meta.dir, "editor.ts"), ...args];
  return Bun.spawn(command, { stdout: "inherit", stderr: "inherit" }).exited;
}

/** What a promise rejects with. */
function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => Promise.reject(new Error(`Resolved with ${JSON.stringify(value)}`)),
    (error: unknown) => error,
  );
}

async function deadPid(): Promise<number> {
  const child = Bun.spawn(["true"]);
  await child.exited;
  return child.pid;
}

const draft = { name: "n", grants: { a: ["read"] } } as const;

describe("a token file", () => {
  test("that is missing is an empty store, and made with mode 0600 by the first edit", async () => {
    const path = join(await newPath(), "..", "deeper", "tokens.json");
    const store = await openAt(path);
    expect(store.list()).toEqual([]);
    const { secret, token } = await store.create(draft);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, "utf8")).not.toContain(secret.slice(4));
    expect((await openAt(path)).find(hashOf(secret))).toEqual(token);
  });

  test("keeps mode 0600 when an edit replaces a file that anybody could read", async () => {
    const path = await newPath();
    await writeFile(path, `{"version":1,"tokens":[]}`, { mode: 0o644 });
    await (await openAt(path)).create(draft);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("is edited where a link leads, and the link stays", async () => {
    const path = await newPath();
    await (await openAt(path)).create(draft);
    await symlink(path, `${path}.link`);
    const store = await openAt(`${path}.link`);
    await store.create(draft);
    expect((await openAt(path)).list()).toHaveLength(2);
    expect((await lstat(`${path}.link`)).isSymbolicLink()).toBe(true);
  });

  test("that is broken refuses to open, telling each problem, and is not overwritten", async () => {
    const path = await newPath();
    for (const [text, problem] of [
      ["{", "not JSON"],
      ["", "not JSON"],
      [`{"version":1,"tokens":[{"id":"a"}]}`, "tokens[0].hash"],
    ] as const) {
      await writeFile(path, text);
      expect(String(await failureOf(openAt(path)))).toContain(problem);
    }
    await writeFile(path, `{"version":1,"tokens":[]}`);
    const store = await openAt(path);
    await writeFile(path, "{");
    expect(await failureOf(store.create(draft))).toBeInstanceOf(TokenStoreError);
    await store.settled();
    expect(await readFile(path, "utf8")).toBe("{");
    expect(await readdir(join(path, ".."))).toEqual(["tokens.json"]);
  });
});

describe("a store that follows its file", () => {
  test("notices by itself what another process writes, and tells it", async () => {
    const path = await newPath();
    // This clock stands still: nothing but an event of the file system can bring the news.
    const store = await openAt(path, { clock: new FakeClock(), follow: true });
    const { token, secret } = await store.create(draft);
    const told = new Promise<StoreChange>((resolve) => store.onChange(resolve));
    expect(await edit(path, "revoke", token.id)).toBe(0);
    expect(await told).toEqual({ kind: "revoked", token });
    expect(store.find(hashOf(secret))).toBeNull();
  });

  test("notices without file events, by looking every now and then", async () => {
    // The directory is not there yet, so there is nothing that could send an event.
    const path = join(await newPath(), "..", "later", "tokens.json");
    const clock = new FakeClock();
    const store = await openAt(path, { clock, follow: true });
    await store.settled();
    await mkdir(join(path, ".."));
    const { secret } = await (await openAt(path)).create(draft);
    await store.settled();
    expect(store.find(hashOf(secret))).toBeNull();
    clock.advance(pollIntervalMs);
    await store.settled();
    expect(store.find(hashOf(secret))).not.toBeNull();
  });

  test("keeps the last good state while the file is broken or gone, and says so once", async () => {
    const path = await newPath();
    const { errors, logger } = recordedLogger();
    const store = await openAt(path, { logger });
    const { secret } = await store.create(draft);
    const good = await readFile(path);
    const changes: StoreChange[] = [];
    store.onChange((change) => changes.push(change));
    const look = async () => {
      store.check();
      await store.settled();
      expect(store.find(hashOf(secret))).not.toBeNull();
    };
    await writeFile(path, `{"version":1,"tok`);
    await look();
    await look();
    expect(errors.map(([message]) => message)).toEqual(["token file is broken, the last good state holds"]);
    await unlink(path);
    await look();
    await look();
    expect(errors).toHaveLength(2);
    await writeFile(path, good);
    await look();
    expect(changes).toEqual([]);
    await writeFile(path, `{"version":1,"tokens":[]}`);
    store.check();
    await store.settled();
    expect(changes.map((change) => change.kind)).toEqual(["revoked"]);
  });

  test("writes back what it knows with an edit after the file was taken away", async () => {
    const path = await newPath();
    const store = await openAt(path);
    await store.create(draft);
    await unlink(path);
    await store.create(draft);
    expect((await openAt(path)).list()).toHaveLength(2);
  });

  test("tells edits of others and its own alike, an expiry included", async () => {
    const path = await newPath();
    const [mine, other] = [await openAt(path), await openAt(path)];
    const { token } = await mine.create(draft);
    const changes: StoreChange[] = [];
    mine.onChange((change) => changes.push(change));
    await other.edit(token.id, { expiresAtMs: 5 });
    await other.revokeIssued({ app: "main", jti: "j" });
    mine.check();
    await mine.settled();
    await mine.edit(token.id, { grants: {} });
    expect(changes.map((change) => change.kind)).toEqual(["edited", "issuedRevoked", "edited"]);
    expect(changes[0]).toEqual({ kind: "edited", token: { ...token, expiresAtMs: 5 } });
    expect(mine.isRevoked({ app: "main", jti: "j", subject: "s", issuedAtMs: 1 })).toBe(true);
  });
});

describe("editors at the same time", () => {
  test("in two processes lose nothing, and a reader never meets half a file", async () => {
    const path = await newPath();
    const store = await openAt(path);
    const count = 15;
    const editors = ["left", "right"].map((name) => edit(path, "create", name, String(count)));
    const progress = { isOver: false };
    const finished = Promise.all(editors).finally(() => (progress.isOver = true));
    let last = 0;
    while (!progress.isOver) {
      const text = await readFile(path, "utf8").catch(() => `{"tokens":[]}`);
      const length = (JSON.parse(text) as { tokens: unknown[] }).tokens.length;
      expect(length).toBeGreaterThanOrEqual(last);
      last = length;
    }
    expect(await finished).toEqual([0, 0]);
    store.check();
    await store.settled();
    const names = store.list().map((token) => token.name);
    const expected = ["left", "right"].flatMap((name) => Array.from({ length: count }, (_, i) => `${name}-${i}`));
    expect(names.toSorted()).toEqual(expected.toSorted());
    expect(await readdir(join(path, ".."))).toEqual(["tokens.json"]);
  }, 20_000);

  test("in one process lose nothing either", async () => {
    const path = await newPath();
    const stores = [await openAt(path), await openAt(path)];
    await Promise.all(stores.flatMap((store) => Array.from({ length: 5 }, () => store.create(draft))));
    expect((await openAt(path)).list()).toHaveLength(10);
  });

  test("wait for a lock no longer than they are told, and say whose it is", async () => {
    const path = await newPath();
    const lock = JSON.stringify({ pid: process.ppid, host: hostname(), timeMs: Date.now() });
    await writeFile(`${path}.lock`, lock);
    const store = await openAt(path, { lockWaitMs: 30 });
    expect(String(await failureOf(store.create(draft)))).toContain(`process ${process.ppid}`);
    await store.settled();
    expect(await readFile(`${path}.lock`, "utf8")).toBe(lock);
  });
});

describe("after a crash", () => {
  test("a lock whose holder is dead is taken over, and half-written files are removed", async () => {
    const path = await newPath();
    await (await openAt(path)).create(draft);
    const pid = await deadPid();
    await writeFile(`${path}.${pid}.tmp`, `{"version":1,"tok`);
    await writeFile(`${path}.lock`, JSON.stringify({ pid, host: hostname(), timeMs: Date.now() }));
    const store = await openAt(path);
    expect(store.list()).toHaveLength(1);
    await store.create(draft);
    expect((await openAt(path)).list()).toHaveLength(2);
    expect(await readdir(join(path, ".."))).toEqual(["tokens.json"]);
  });

  test("many waiters take a dead holder's lock over one after the other", async () => {
    const path = await newPath();
    await writeFile(`${path}.lock`, JSON.stringify({ pid: await deadPid(), host: hostname(), timeMs: 0 }));
    const stores = await Promise.all(Array.from({ length: 6 }, () => openAt(path)));
    await Promise.all(stores.map((store) => store.create(draft)));
    expect((await openAt(path)).list()).toHaveLength(6);
  });

  test("a lock of this pid from before this process began, as in a container, is taken over", async () => {
    const path = await newPath();
    await writeFile(`${path}.lock`, JSON.stringify({ pid: process.pid, host: hostname(), timeMs: 0 }));
    await utimes(`${path}.lock`, 1000, 1000);
    await (await openAt(path)).create(draft);
    expect((await openAt(path)).list()).toHaveLength(1);
  });

  test("a lock without text, or of another host, is taken over once it is old", async () => {
    for (const text of ["", JSON.stringify({ pid: 1, host: "elsewhere.example", timeMs: 0 })]) {
      const path = await newPath();
      await writeFile(`${path}.lock`, text);
      expect(await failureOf((await openAt(path, { lockWaitMs: 30 })).create(draft))).toBeInstanceOf(TokenStoreError);
      await utimes(`${path}.lock`, 1000, 1000);
      await (await openAt(path)).create(draft);
      expect((await openAt(path)).list()).toHaveLength(1);
    }
  });
});
