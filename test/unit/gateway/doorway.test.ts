/** Which credential of a request counts, and which pages may come in: by origin, scheme included. */
import { describe, expect, test } from "bun:test";
import { Guesses } from "../../../src/session/guesses.ts";
import { Credentials } from "../../../src/session/credentials.ts";
import type { Asking } from "../../../src/gateway/doorway.ts";
import { Origins } from "../../../src/gateway/origins.ts";
import { FakeClock } from "../../harness/clock.ts";
import { doorwayOf } from "../../harness/doorway.ts";
import { KeptLog } from "../../harness/server.ts";
import { TestAuthenticator } from "../../harness/sessions.ts";

function open(allowed: readonly string[] = []) {
  const log = new KeptLog();
  const guesses = new Guesses({ clock: new FakeClock(), perMinute: 0, sourcesMax: 0, sourceOf: () => null });
  const registry = { credentials: new Credentials(guesses, log) };
  return { log, doorway: doorwayOf({ authenticator: new TestAuthenticator(), registry, log }, allowed) };
}

function asking(headers: Readonly<Record<string, string>>, secure = false): Asking {
  return { headers: new Headers(headers), address: "192.0.2.7", secure };
}

describe("the credential of a request", () => {
  const of = (headers: Record<string, string>, allowed: string[] = []) =>
    open(allowed).doorway.presented(asking(headers))?.text ?? null;
  const own = { host: "example.com:8080", origin: "http://example.com:8080" };

  test.each([
    ["Bearer abc", "abc"],
    ["bearer abc", "abc"],
    ["BEARER   abc  ", "abc"],
    ["Bearer two words", "two words"],
    ["Bearer ", null],
    ["Bearer", null],
    ["Bearerabc", null],
    ["Basic YTpi", null],
    ["", null],
  ])("of Authorization: %s is %j", (authorization, credential) => {
    expect(of({ authorization })).toBe(credential);
  });

  test.each([
    ["tagcast=abc", "abc"],
    ["a=b; tagcast=abc;c=d", "abc"],
    ["tagcast=a=b==", "a=b=="],
    ["tagcast=", null],
    ["xtagcast=abc; tagcastx=abc", null],
    ["tagcast", null],
    ["", null],
  ])("of Cookie: %s from the own origin is %j", (cookie, credential) => {
    expect(of({ cookie, ...own })).toBe(credential);
  });

  test("is the header before the cookie", () => {
    expect(of({ authorization: "Bearer header", cookie: "tagcast=cookie", ...own })).toBe("header");
  });

  test("is the cookie of a page of the own origin, scheme included, or of a listed one", () => {
    const cookie = "tagcast=abc";
    const host = "example.com";
    const presented = (origin: string | null, secure: boolean, allowed: string[] = []) =>
      open(allowed).doorway.presented(asking({ cookie, host, ...(origin !== null && { origin }) }, secure))?.text ??
      null;
    expect(presented("https://example.com", true)).toBe("abc");
    expect(presented("http://example.com", false)).toBe("abc");
    // A page that came without TLS may be anybody's on the way.
    expect(presented("http://example.com", true)).toBe(null);
    expect(presented("https://example.com", false)).toBe(null);
    for (const origin of [
      "https://evil.com",
      "https://example.com.evil.com",
      "https://example.com:444",
      "null",
      "",
      null,
    ])
      expect(presented(origin, true)).toBe(null);
    expect(presented("https://app.com", true, ["https://app.com"])).toBe("abc");
    expect(presented("http://app.com", true, ["https://app.com"])).toBe(null);
    expect(presented("https://app.com", true, ["*"])).toBe(null);
    expect(presented("file://", true, ["*"])).toBe(null);
  });

  test("that does not count for its page is counted, explained, and logged with its source, without the credential", () => {
    const { doorway, log } = open();
    doorway.presented(asking({ cookie: "tagcast=abc", host: "example.com", origin: "https://evil.com" }));
    expect(doorway.origins.counts.refused).toBe(1);
    expect(doorway.absence(asking({ cookie: "a=b; tagcast=abc" }))).toContain("allowed-origins");
    expect(doorway.absence(asking({ cookie: "a=b" }))).toStartWith("Present a token");
    expect(log.entries).toMatchObject([
      { level: "warn", fields: { origin: "https://evil.com", from: "192.0.2.7", host: "example.com" } },
    ]);
    expect(JSON.stringify(log.entries)).not.toContain("abc");
  });

  test("is the cookie of a request without an origin where it reads, unless it says that it comes from elsewhere", () => {
    const reads = (headers: Record<string, string>) =>
      open().doorway.presented(asking({ cookie: "tagcast=abc", host: "example.com", ...headers }), true)?.text ?? null;
    expect(reads({})).toBe("abc");
    expect(reads({ "sec-fetch-site": "same-origin" })).toBe("abc");
    expect(reads({ "sec-fetch-site": "none" })).toBe("abc");
    expect(reads({ "sec-fetch-site": "same-site" })).toBe(null);
    expect(reads({ "sec-fetch-site": "cross-site" })).toBe(null);
    expect(reads({ origin: "https://evil.com" })).toBe(null);
    expect(reads({ origin: "https://evil.com", "sec-fetch-site": "same-origin" })).toBe(null);
  });
});

describe("an upgrade", () => {
  const host = "push.example.com";
  const status = (headers: Record<string, string>, allowed: string[] = []) =>
    open(allowed).doorway.refusal(asking({ host, ...headers }, true))?.status ?? 101;

  test.each([
    ["of a program", {}, 101],
    ["of a page of the server's own", { origin: `https://${host}` }, 101],
    ["of a page of another origin", { origin: "https://evil.com" }, 403],
    ["of a page of its own host without TLS", { origin: `http://${host}` }, 403],
    ["of a page that hides where it is from", { origin: "null" }, 403],
    [
      "of a program that names an origin and has a token",
      { origin: "https://evil.com", authorization: "Bearer t" },
      101,
    ],
    ["of an app that is no page of the web", { origin: "file://" }, 101],
  ] as const)("%s is let in or refused: %j → %d", (_, headers, expected) => {
    expect(status(headers)).toBe(expected);
  });

  test("of pages from anywhere is let in where the configuration says so", () => {
    for (const origin of ["https://evil.com", "null"]) expect(status({ origin }, ["*"])).toBe(101);
    expect(status({ origin: "https://app.com" }, ["https://app.com"])).toBe(101);
    expect(status({ origin: "https://evil.com" }, ["https://app.com"])).toBe(403);
  });
});

describe("Origins", () => {
  const exposed = (allowed: readonly string[], origin: string | null, method = "GET") => {
    const headers = new Headers();
    new Origins(allowed).expose(headers, { method, headers: new Headers(origin === null ? {} : { origin }) });
    return Object.fromEntries(headers);
  };

  test("lets a listed page read with its cookie, and any other where all may, without one", () => {
    const listed = exposed(["https://app.com"], "https://app.com");
    expect(listed).toEqual({
      vary: "Origin",
      "access-control-allow-origin": "https://app.com",
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "Location, Retry-After",
    });
    expect(exposed(["https://app.com"], "https://evil.com")).toEqual({ vary: "Origin" });
    expect(exposed(["https://app.com"], null)).toEqual({ vary: "Origin" });
    expect(exposed([], "https://app.com")).toEqual({});
    expect(exposed(["*"], "https://evil.com")).toEqual({
      "access-control-allow-origin": "*",
      "access-control-expose-headers": "Location, Retry-After",
    });
    expect(exposed(["*", "https://app.com"], "https://app.com")).toEqual(listed);
  });

  test("says what may be asked where a browser asks first", () => {
    const answer = exposed(["https://app.com"], "https://app.com", "OPTIONS");
    expect(answer["access-control-allow-methods"]).toBe("GET, HEAD, POST, PATCH, DELETE");
    expect(answer["access-control-allow-headers"]).toContain("Authorization");
    expect(exposed(["https://app.com"], "https://evil.com", "OPTIONS")).toEqual({ vary: "Origin" });
  });
});
