/**
 * Interception and downgrade, with real clients of TLS: OpenSSL's, and those of the runtime. Each attack runs against the
 * defence, and again where it is off or another server has none, to see that it is an attack.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { op } from "../../../src/wire/messages.ts";
import { Authority, type Pair, shakeHands } from "../../harness/certificates.ts";
import { EventClient } from "../../harness/event-client.ts";
import {
  adminToken,
  Program,
  scratchDirectory,
  startProcess,
  startServer,
  type TestServer,
} from "../../harness/server.ts";
import { WireClient } from "../../harness/wire-client.ts";

const place = scratchDirectory();
let authority: Authority;
let a: Pair;
let b: Pair;
let ca: string;

beforeAll(async () => {
  authority = await Authority.create(place.path);
  a = await authority.issue("a", ["a.test", "localhost", "127.0.0.1"]);
  b = await authority.issue("b", ["b.test", "*.b.test"]);
  ca = await authority.text();
});
afterAll(() => place[Symbol.dispose]());

const flagsOf = (...pairs: readonly Pair[]) => [
  ...["--tls-cert", pairs.map(({ cert }) => cert).join(",")],
  ...["--tls-key", pairs.map(({ key }) => key).join(",")],
];
const portOf = ({ http }: { readonly http: string }) => Number(new URL(http).port);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const bearer = { authorization: `Bearer ${adminToken}` };
const asUpgrade = { connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
const upgrade = { ...asUpgrade, "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };

describe("versions", () => {
  const offered = ["-tls1_1", "-tls1_2", "-tls1_3"];
  const spoken = (port: number) =>
    Promise.all(
      offered.map(async (version) => {
        // OpenSSL itself refuses the old ones otherwise.
        const { succeeded } = await shakeHands(port, authority.ca, [version, "-cipher", "DEFAULT@SECLEVEL=0"]);
        return succeeded;
      }),
    );

  test("before 1.2 are refused, and 1.2 too where 1.3 is asked for", async () => {
    await using usual = await startServer({ flags: flagsOf(a) });
    expect(await spoken(portOf(usual))).toEqual([false, true, true]);
    await using strict = await startServer({ flags: [...flagsOf(a, b), "--tls-min", "1.3"] });
    expect(await spoken(portOf(strict))).toEqual([false, false, true]);
    const other = await shakeHands(portOf(strict), authority.ca, ["-tls1_2", "-servername", "b.test"]);
    expect(other.succeeded).toBe(false);
  });

  test("a server that speaks the old ones is spoken to by the same client", async () => {
    const serve = ["s_server", "-accept", "127.0.0.1:0", "-cert", a.cert, "-key", a.key, "-www"];
    const old = ["openssl", ...serve, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    const child = Bun.spawn(old, { stdin: "pipe", stdout: "pipe", stderr: "ignore" });
    try {
      let port = 0;
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        port = Number(/^ACCEPT .*:(\d+)$/m.exec(text)?.[1] ?? 0);
        if (port > 0) break;
      }
      const { output } = await shakeHands(port, authority.ca, ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
      expect(output).toContain("New, TLSv1.0, Cipher is");
    } finally {
      child.kill();
      await child.exited;
    }
  });
});

describe("several names", () => {
  test("each gets the certificate that holds it, and every other name the first", async () => {
    await using server = await startServer({ flags: flagsOf(a, b) });
    const asked = ["a.test", "b.test", "deep.b.test", "b.test.evil.test", null];
    const subjects = asked.map(async (name) => {
      const args = name === null ? ["-noservername"] : ["-servername", name];
      return (await shakeHands(portOf(server), authority.ca, args)).subject;
    });
    expect(await Promise.all(subjects)).toEqual(["a", "b", "b", "a", "a"]);
  });
});

describe("a renewed certificate", () => {
  test("is what new clients get, at SIGHUP, and nobody who is connected misses a message", async () => {
    const pair = await authority.issue("renewed", ["localhost", "127.0.0.1"]);
    const next = await authority.issue("next", ["localhost", "127.0.0.1"]);
    await using server = await startProcess({ args: flagsOf(pair) });
    const before = [await server.connect({ tls: { ca } }), await server.connect({ tls: { ca }, lane: "json" })];
    for (const client of before) await client.ok(op.subscribe, "numbers");
    const [publisher] = before as [WireClient, WireClient];
    let sent = 0;
    const publish = () => publisher.ok(op.publish, "numbers", sent++);
    await publish();
    const ticking = setInterval(() => void publish(), 5);
    try {
      expect((await shakeHands(portOf(server), authority.ca)).subject).toBe("renewed");
      await copyFile(next.cert, pair.cert);
      await copyFile(next.key, pair.key);
      server.signal("SIGHUP");
      await server.until(/"message":"new certificates taken up"/, "stderr");
      expect((await shakeHands(portOf(server), authority.ca)).subject).toBe("next");
      await publisher.messages(sent + 20);
    } finally {
      clearInterval(ticking);
    }
    await using after = await server.connect({ tls: { ca } });
    await after.ok(op.subscribe, "numbers");
    // From those who came before to who came after, and back: topics of two servers of the runtime.
    await publish();
    await after.ok(op.publish, "numbers", sent++);
    expect(await after.payloads(2)).toEqual([sent - 2, sent - 1]);
    for (const client of before) {
      expect(await client.payloads(sent)).toEqual(upTo(sent));
      await client.close();
    }
  });

  test("that is not usable is refused, and the one before stays", async () => {
    const pair = await authority.issue("good", ["localhost"]);
    await using server = await startServer({ flags: flagsOf(pair) });
    await copyFile(b.key, pair.key);
    await server.running.reloadCertificates();
    expect(server.log.of("new certificates refused: those before stay")).toHaveLength(1);
    expect((await shakeHands(portOf(server), authority.ca)).subject).toBe("good");
  });
});

describe("client certificates", () => {
  const mutual = () => [...flagsOf(a, b), "--tls-client-ca", authority.ca];
  const names = [
    ["-noservername"],
    ["-servername", "a.test"],
    ["-servername", "b.test"],
    ["-servername", "other.test"],
  ];
  const versions = ["-tls1_2", "-tls1_3"];

  async function successes(server: TestServer, more: readonly string[]): Promise<ReadonlySet<boolean>> {
    const ways = names.flatMap((name) => versions.map((version) => [...name, version, ...more]));
    const shaken = ways.map((way) => shakeHands(portOf(server), authority.ca, way));
    return new Set((await Promise.all(shaken)).map(({ succeeded }) => succeeded));
  }

  test("are required whatever name is asked for, or none", async () => {
    await using server = await startServer({ flags: mutual() });
    expect(await successes(server, [])).toEqual(new Set([false]));
    expect(await successes(server, ["-cert", b.cert, "-key", b.key])).toEqual(new Set([true]));
  });

  test("of another authority, with the same names, are refused", async () => {
    await using server = await startServer({ flags: mutual() });
    const evil = await Authority.create(place.path, "evil");
    const stranger = await evil.issue("stranger", ["b.test"]);
    expect(await successes(server, ["-cert", stranger.cert, "-key", stranger.key])).toEqual(new Set([false]));
  });

  test("are asked of nobody where no authority is configured", async () => {
    await using server = await startServer({ flags: flagsOf(a, b) });
    expect(await successes(server, [])).toEqual(new Set([true]));
  });

  test("let a WebSocket in, which needs its token all the same", async () => {
    await using server = await startServer({ flags: mutual() });
    const [cert, key] = await Promise.all([Bun.file(b.cert).text(), Bun.file(b.key).text()]);
    expect(await server.dial({ tls: { ca } }).catch(String)).toContain("No connection");
    await using client = await server.dial({ tls: { ca, cert, key } });
    expect(await client.refused(op.subscribe, "a")).toBe(101);
    await client.ok(op.connect, { token: adminToken });
  });
});

describe("connections in the clear", () => {
  const trusting = (range: string) => ["--require-tls", "--trusted-proxies", range];
  const stranger = trusting("192.0.2.0/24");
  const proxy = trusting("127.0.0.0/8");
  const paths = ["/", "/v1/tags", "/docs", "/metrics", "/events?tags=a", "/ws"];

  const statuses = (server: TestServer, headers: Readonly<Record<string, string>>) =>
    Promise.all(
      paths.map(async (path) => {
        const response = await fetch(server.http + path, { headers: { ...bearer, ...headers } });
        await response.body?.cancel();
        return response.status;
      }),
    );
  const refused = paths.map(() => 403);
  const answered = [200, 200, 200, 200, 200, 426];

  async function enters(server: TestServer, headers: Readonly<Record<string, string>> = {}): Promise<boolean> {
    try {
      await using client = await server.dial({ headers });
      await client.ok(op.connect, { token: adminToken });
      return true;
    } catch {
      return false;
    }
  }

  test("are refused where TLS is required, but health to this machine", async () => {
    await using server = await startServer({ flags: stranger });
    expect(await statuses(server, {})).toEqual(refused);
    expect(await enters(server)).toBe(false);
    expect((await fetch(`${server.http}/v1/tags`, { headers: { ...bearer, ...upgrade } })).status).toBe(403);
    expect((await fetch(`${server.http}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.http}/readyz`)).status).toBe(200);
    expect(server.log.of("connection refused: it is not encrypted")[0]).toMatchObject({
      fields: { from: "127.0.0.1" },
    });
  });

  test("get in where it is not", async () => {
    await using server = await startServer();
    expect(await statuses(server, {})).toEqual(answered);
    expect(await enters(server)).toBe(true);
  });

  const claims = [
    { "x-forwarded-proto": "https" },
    { "x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.1" },
    { forwarded: "for=198.51.100.1;proto=https" },
  ];

  test.each(claims)("that claim %j count as encrypted from a trusted proxy alone", async (headers) => {
    await using outside = await startServer({ flags: stranger });
    expect([await statuses(outside, headers), await enters(outside, headers)]).toEqual([refused, false]);
    await using inside = await startServer({ flags: proxy });
    expect([await statuses(inside, headers), await enters(inside, headers)]).toEqual([answered, true]);
  });

  test.each([{}, { "x-forwarded-proto": "http" }, { forwarded: "for=198.51.100.1;proto=http" }])(
    "that a trusted proxy had from its client with %j are refused",
    async (headers) => {
      await using server = await startServer({ flags: proxy });
      expect([await statuses(server, headers), await enters(server, headers)]).toEqual([refused, false]);
    },
  );

  test("to a proxy are refused also where the proxy itself comes by TLS", async () => {
    await using server = await startServer({ flags: [...flagsOf(a), ...proxy] });
    const status = async (headers: Readonly<Record<string, string>>) =>
      (await fetch(server.http, { headers, tls: { ca } })).status;
    expect([await status({}), await status({ "x-forwarded-proto": "http" })]).toEqual([200, 403]);
  });

  test("are not understood by a port that speaks TLS", async () => {
    await using server = await startServer({ flags: flagsOf(a) });
    expect(await fetch(server.http.replace("https", "http")).catch(String)).toBeString();
    expect(await WireClient.open(server.url.replace("wss", "ws")).catch(String)).toContain("No connection");
  });
});

describe("Strict-Transport-Security", () => {
  const header = "strict-transport-security";
  const asked: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ...(["/", "/healthz", "/none", "/v1/tags", "/docs", "/examples/", "/events?tags=a"] as const).map(
      (path) => [path, bearer] as const,
    ),
    ["/v1/tags", {}],
    ["/ws", {}],
    ["/ws", { ...upgrade, authorization: "Bearer wrong" }],
    ["/ws", { ...upgrade, "sec-websocket-protocol": "evil" }],
  ];
  const values = async (flags: readonly string[]) => {
    await using server = await startServer({ flags: [...flagsOf(a), ...flags] });
    const found = new Set<string | null>();
    for (const [path, headers] of asked) {
      const response = await fetch(server.http + path, { headers, tls: { ca }, redirect: "manual" });
      await response.body?.cancel();
      found.add(response.headers.get(header));
    }
    return [...found];
  };

  test("stands in every answer where TLS is required, refusals of upgrades among them", async () => {
    expect(await values(["--require-tls"])).toEqual(["max-age=31536000"]);
    expect(await values(["--hsts", "1d"])).toEqual(["max-age=86400"]);
    expect(await values([])).toEqual([null]);
  });

  test("is never said in the clear", async () => {
    await using server = await startServer({ flags: ["--hsts", "1d"] });
    expect((await fetch(server.http)).headers.get(header)).toBeNull();
  });
});

describe("what comes with the server", () => {
  test("speaks TLS: the command line with an authority of one's own, and event streams", async () => {
    await using server = await startServer({ flags: flagsOf(a) });
    const target = ["--url", server.url, "--token", adminToken];
    const listen = ["sub", ...target, "--ca", authority.ca, "--count", "2", "greetings"];
    await using subscriber = new Program({ args: listen });
    await server.log.until("session opened");
    await using events = await EventClient.open(`${server.http}/events?tags=greetings`, { tls: { ca } });
    await using publisher = new Program({
      args: ["pub", ...target, "greetings", "one"],
      env: { NODE_EXTRA_CA_CERTS: authority.ca },
    });
    expect(await publisher.end()).toBe(0);
    await using second = new Program({ args: ["pub", ...target, "--ca", authority.ca, "greetings", "two"] });
    expect(await second.end()).toBe(0);
    expect(await subscriber.end()).toBe(0);
    expect(subscriber.stdout).toBe("greetings one\ngreetings two\n");
    const heard = [await events.next("message"), await events.next("message")];
    expect(heard.map(({ data }) => data["payload"])).toEqual(["one", "two"]);
  });

  test("trusts nobody whom no known authority vouches for", async () => {
    await using server = await startServer({ flags: flagsOf(a) });
    await using publisher = new Program({
      args: ["pub", "--url", server.url, "--token", adminToken, "greetings", "one"],
    });
    await publisher.until(/unable to verify/, "stderr");
    publisher.signal("SIGTERM");
    expect(await publisher.end()).not.toBe(0);
  });
});
