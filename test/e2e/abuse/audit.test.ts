/** The audit log: what administrators and those who would be are found in it with, and what cannot be written into it. */
import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, renameSync, statSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { openFileTokens } from "../../../src/auth/file-tokens.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import {
  adminToken,
  Program,
  scratchDirectory,
  startProcess,
  startServer,
  type TestServer,
} from "../../harness/server.ts";
import { Caller } from "../../integration/api/caller.ts";
import { hostileTexts } from "./hostile-text.ts";

type Entry = Readonly<Record<string, unknown>>;

function entriesIn(path: string): readonly Entry[] {
  const text = readFileSync(path, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Entry);
}

const told = (entries: readonly Entry[]) => entries.map(({ action, result, by }) => [action, result, by]);
const proxied = ["--trusted-proxies", "127.0.0.1"];
const headers = { "X-Forwarded-For": "198.51.100.7" };

async function created(server: { readonly http: string }, draft: object, caller = new Caller(server)) {
  const { body } = await caller.call("/v1/tokens", { json: { name: "n", grants: {}, ...draft }, headers });
  const { token, secret } = body as { token: { id: string }; secret: string };
  return { id: token.id, secret };
}

async function metric(server: TestServer, name: string): Promise<number> {
  const text = Buffer.from((await new Caller(server).get("/metrics")).bytes).toString();
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

describe("the audit log", () => {
  test("has who did what, when, from where, and with what result; and who tried in vain", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "audit.log");
    await using server = await startServer({ flags: [...proxied, "--audit-log", path] });
    const admin = new Caller(server);
    const { id, secret } = await created(server, { subject: "ann", name: "Ann's" });
    await admin.call(`/v1/tokens/${id}`, { method: "PATCH", json: { grants: { a: ["read"] } }, headers });
    await new Caller(server, secret).call("/v1/tokens", { headers });
    await new Caller(server, "no-such-token").call(`/v1/tokens/${id}`, { method: "DELETE", headers });
    await admin.call("/v1/tokens/none", { method: "DELETE", headers });
    await admin.call(`/v1/tokens/${id}`, { method: "DELETE", headers });
    await admin.call("/v1/connections?subject=ann", { method: "DELETE", headers });
    // Neither reading nor asking without any credential is an act.
    await admin.call("/v1/tokens", { headers });
    await new Caller(server, null).call("/v1/tokens", { headers });
    const begun = Date.now();
    await server.stop();
    const entries = entriesIn(path);
    expect(told(entries)).toEqual([
      ["server.start", "done", "server"],
      ["token.create", "done", "admin"],
      ["token.edit", "done", "admin"],
      ["token.list", "refused", "ann"],
      ["token.revoke", "refused", null],
      ["token.revoke", "failed", "admin"],
      ["token.revoke", "done", "admin"],
      ["connections.end", "done", "admin"],
      ["server.stop", "done", "server"],
    ]);
    expect(entries[1]).toMatchObject({
      audit: true,
      app: "main",
      tokenId: "admin",
      from: "198.51.100.7",
      target: id,
      detail: { name: "Ann's", subject: "ann", grants: {} },
    });
    expect(entries[2]).toMatchObject({ target: id, detail: { grants: { a: ["read"] } } });
    expect(entries[3]).toMatchObject({ tokenId: id, detail: { status: 403 } });
    expect(entries[4]).toMatchObject({ from: "198.51.100.7", target: id, detail: { status: 401 } });
    for (const { time } of entries) expect(Math.abs(Date.parse(String(time)) - begun)).toBeLessThan(60_000);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).not.toContain(secret);
    expect(readFileSync(path, "utf8")).not.toContain(adminToken);
  });

  test("has logins and logouts, with the login's id and not its cookie", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "audit.log");
    await using server = await startServer({ flags: ["--audit-log", path] });
    const origin = server.http;
    const login = await new Caller(server).call("/login", { method: "POST", headers: { origin } });
    const cookie = login.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const anonymous = new Caller(server, null);
    await anonymous.call("/login", { method: "POST", headers: { origin, cookie } });
    await new Caller(server, "wrong").call("/login", { method: "POST", headers: { origin } });
    await anonymous.call("/logout", { method: "POST", headers: { origin, cookie } });
    const { login: id } = login.body as { login: string };
    const entries = entriesIn(path).slice(1);
    expect(told(entries)).toEqual([
      ["login", "done", "admin"],
      ["login", "refused", null],
      ["logout", "done", "admin"],
    ]);
    expect(entries.map(({ target }) => target)).toEqual([id, undefined, id]);
    expect(readFileSync(path, "utf8")).not.toContain(cookie.split("=")[1] ?? "tcl_");
  });

  test("has what others write into the token file", async () => {
    using scratch = scratchDirectory();
    const [path, tokens] = [join(scratch.path, "audit.log"), join(scratch.path, "tokens.json")];
    await using server = await startServer({ flags: ["--audit-log", path, "--tokens", tokens] });
    const store = await openFileTokens({ path: tokens, clock: systemClock, logger: silentLogger, follow: false });
    const { token, secret } = await store.create({ name: "by hand", grants: { a: ["read"] } });
    await store.edit(token.id, { name: "edited by hand" });
    await store.revoke(token.id);
    await store.revokeIssued({ app: "main", subject: "joe" });
    await store.close();
    // Its own edits, which read the file first, are noted as what they are.
    await created(server, { name: "over HTTP" });
    await server.log.untilHolds(() => told(entriesIn(path)).length > 0, "entries");
    const entries = entriesIn(path).slice(1);
    expect(told(entries)).toContainEqual(["revocation.add", "done", "file"]);
    expect(told(entries).at(-1)).toEqual(["token.create", "done", "admin"]);
    expect(entries.filter(({ by }) => by === "admin")).toHaveLength(1);
    expect(readFileSync(path, "utf8")).not.toContain(secret);
    expect(readFileSync(path, "utf8")).not.toContain(token.hash);
  });

  test("holds hostile text as data, one line an entry", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "audit.log");
    await using server = await startServer({ flags: ["--audit-log", path] });
    const texts = Object.values(hostileTexts);
    for (const text of texts) {
      await new Caller(server).call("/v1/tokens", {
        json: { name: "n", subject: `s${text}`, grants: { [text]: ["read"] } },
      });
      await new Caller(server).call(`/v1/connections?${new URLSearchParams({ subject: text })}`, { method: "DELETE" });
    }
    const entries = entriesIn(path);
    expect(entries.filter(({ audit }) => audit === true)).toHaveLength(entries.length);
    expect(entries.filter(({ action }) => action === "connections.end")).toHaveLength(texts.length);
    const unsafe = /[\p{Cc}\u2028-\u202e]/u;
    expect(
      readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => unsafe.test(line)),
    ).toEqual([]);
  });

  test("is lines of the log where it has no file, and of standard error where that is asked for, whatever the level", async () => {
    await using server = await startServer();
    await created(server, {});
    expect(server.log.of("audit")).toMatchObject([
      { level: "info", fields: { audit: true, action: "server.start" } },
      { level: "info", fields: { audit: true, action: "token.create" } },
    ]);
    await using child = await startProcess({ args: ["--audit-log", "stderr", "--log-level", "error"] });
    const [line] = await child.until(/^\{.*"server\.start".*\}$/m, "stderr");
    expect(JSON.parse(line)).toMatchObject({ audit: true, action: "server.start", by: "server" });
  });

  test("goes on in a new file once the old one was renamed and the server was told so by SIGHUP", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "audit.log");
    await using child = await startProcess({ args: ["--audit-log", path] });
    renameSync(path, `${path}.1`);
    child.signal("SIGHUP");
    const caller = new Caller(child, child.token);
    for (;;) {
      await created(child, {}, caller);
      if (await Bun.file(path).exists()) break;
    }
    expect(told(entriesIn(`${path}.1`))[0]).toEqual(["server.start", "done", "server"]);
    await created(child, {}, caller);
    expect(told(entriesIn(path)).at(-1)).toEqual(["token.create", "done", "admin"]);
  });

  test("that cannot be written is told in the log, entry and all, and counted; what was asked for is done", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "audit.log");
    // Everything written to it fails as on a full disk.
    symlinkSync("/dev/full", path);
    await using server = await startServer({ flags: ["--audit-log", path] });
    const { id } = await created(server, {});
    expect(server.log.of("audit log not written")).toMatchObject([
      { level: "error", fields: { entry: { action: "server.start" } } },
      { level: "error", fields: { path, problem: expect.stringContaining("ENOSPC"), entry: { target: id } } },
    ]);
    expect(await metric(server, "tagcast_audit_failures_total")).toBe(2);
    expect(await metric(server, "tagcast_audit_entries_total")).toBe(2);
    unlinkSync(path);
    server.running.reopenLogs();
    await created(server, {});
    expect(told(entriesIn(path))).toEqual([["token.create", "done", "admin"]]);
  });

  test("that cannot be opened keeps the server from starting", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "no", "such", "folder", "audit.log");
    await using child = new Program({ args: ["serve", "--port", "0", "--audit-log", path] });
    expect(await child.end()).toBe(1);
    expect(child.stderr).toContain(path);
  });

  test("keeps the mode that a file has", async () => {
    using scratch = scratchDirectory();
    const path = join(scratch.path, "audit.log");
    await Bun.write(path, "");
    chmodSync(path, 0o640);
    await using server = await startServer({ flags: ["--audit-log", path] });
    await created(server, {});
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });
});
