import { describe, expect, test } from "bun:test";
import { run } from "../../../src/cli/health.ts";
import { Authority } from "../../harness/certificates.ts";
import { recordedIo } from "../../harness/cli-io.ts";
import { scratchDirectory } from "../../harness/server.ts";

/** A server that answers each path with a status and a body. */
function serve(answers: Readonly<Record<string, readonly [number, string]>>) {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const [status, body] = answers[new URL(request.url).pathname] ?? [404, ""];
      return new Response(body, { status });
    },
  });
}

describe("health", () => {
  test("asks whether the process lives, or with --ready whether it serves", async () => {
    using server = serve({ "/healthz": [200, "ok\n"], "/readyz": [503, "not ready\nredis: away\n"] });
    const env = { TAGCAST_PORT: String(server.port) };
    const alive = recordedIo(env);
    expect([await run([], alive), alive.outLines]).toEqual([0, ["ok"]]);
    const ready = recordedIo();
    expect(await run(["--ready", "--url", server.url.href], ready)).toBe(1);
    expect(ready.outLines.join("\n")).toContain("not ready");
  });

  test("asks by TLS where the server speaks it, whatever name its certificate has, and elsewhere checks it", async () => {
    using scratch = scratchDirectory();
    const authority = await Authority.create(scratch.path);
    const pair = await authority.issue("rt", ["rt.example.com"]);
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert: Bun.file(pair.cert), key: Bun.file(pair.key) },
      fetch: () => new Response("ok"),
    });
    const env = { TAGCAST_PORT: String(server.port), TAGCAST_TLS_CERT: pair.cert };
    expect(await run([], recordedIo(env))).toBe(0);
    expect(await run(["--url", `https://127.0.0.1:${server.port}`], recordedIo(env))).toBe(1);
  });

  test("says which server does not answer", async () => {
    const server = serve({});
    const { origin } = server.url;
    await server.stop(true);
    const io = recordedIo();
    expect([await run(["--url", origin], io), io.errLines[0]]).toEqual([1, expect.stringContaining(origin)]);
  });

  test("does not wait for ever for a server that says nothing", async () => {
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Promise<Response>(() => {}) });
    expect(await run(["--url", server.url.href, "--wait", "1"], recordedIo())).toBe(1);
    await server.stop(true);
  });

  test.each([
    [["--wait", "0"], "--wait takes"],
    [["--url", "ftp://x"], "--url takes"],
    [["--url", "x"], "--url takes"],
  ])("refuses %j", (argv, message) => {
    expect(run(argv, recordedIo())).rejects.toThrow(message);
  });
});
