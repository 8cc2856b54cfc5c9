import { describe, expect, test } from "bun:test";
import { chooseLane, credentialOf, namedPatterns } from "../../../src/gateway/upgrade.ts";

describe("chooseLane()", () => {
  test.each([
    [null, { lane: "msgpack", protocol: "" }],
    ["tagcast.v1.json", { lane: "json", protocol: "tagcast.v1.json" }],
    ["  tagcast.v1.msgpack  ", { lane: "msgpack", protocol: "tagcast.v1.msgpack" }],
    ["chat,tagcast.v1.json,tagcast.v1.msgpack", { lane: "json", protocol: "tagcast.v1.json" }],
    ["TAGCAST.V1.JSON", null],
    ["tagcast.v1", null],
    ["tagcast.v1.json.x", null],
    ["", null],
  ] as const)("of %j is %j", (header, chosen) => {
    expect(chooseLane(header)).toEqual(chosen);
  });
});

describe("credentialOf()", () => {
  const of = (headers: Record<string, string>, allowed: string[] = []) => credentialOf(new Headers(headers), allowed);
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

  test("is not the cookie of a page of another site", () => {
    const cookie = "tagcast=abc";
    const host = "example.com";
    expect(of({ cookie, host, origin: "https://example.com" })).toBe("abc");
    for (const origin of [
      "https://evil.com",
      "https://example.com.evil.com",
      "https://example.com:444",
      "null",
      "example.com",
      "",
    ]) {
      expect(of({ cookie, host, origin })).toBe(null);
    }
    expect(of({ cookie, host })).toBe(null);
    expect(of({ cookie, host, origin: "https://app.com" }, ["https://app.com"])).toBe("abc");
    expect(of({ cookie, host, origin: "http://app.com" }, ["https://app.com"])).toBe(null);
  });

  test("is the cookie of a request without an origin where it reads, unless it says that it comes from elsewhere", () => {
    const reads = (headers: Record<string, string>) =>
      credentialOf(new Headers({ cookie: "tagcast=abc", host: "example.com", ...headers }), [], true);
    expect(reads({})).toBe("abc");
    expect(reads({ "sec-fetch-site": "same-origin" })).toBe("abc");
    expect(reads({ "sec-fetch-site": "none" })).toBe("abc");
    expect(reads({ "sec-fetch-site": "same-site" })).toBe(null);
    expect(reads({ "sec-fetch-site": "cross-site" })).toBe(null);
    expect(reads({ origin: "https://evil.com" })).toBe(null);
    expect(reads({ origin: "https://evil.com", "sec-fetch-site": "same-origin" })).toBe(null);
  });

  test("is the header before the cookie", () => {
    expect(of({ authorization: "Bearer header", cookie: "tagcast=cookie", ...own })).toBe("header");
  });
});

describe("namedPatterns()", () => {
  const of = (query: string, tag?: string) =>
    namedPatterns(new Headers(tag === undefined ? {} : { tag }), `http://x/ws${query}`);

  test.each([
    ["", null],
    ["?", null],
    ["?tags=", null],
    ["?othertags=a", null],
    ["?tags=a", ["a"]],
    ["?x=1&tags=a,b/c", ["a", "b/c"]],
    ["?tags=a%2Cb&x=1&tags=c,d&tags=", ["a,b", "c", "d"]],
    ["?tags=a%2Cb,%23", ["a,b", "#"]],
    ["?tags=+/x,a+b", ["+/x", "a+b"]],
    ["?tags=,a,,b,", ["a", "b"]],
    ["?tags=%C3%BC%F0%9F%8E%88", ["ü🎈"]],
    ["?tags=%20a%20", [" a "]],
    ["?tags=a#b", ["a"]],
  ])("of the query %j are %j", (query, patterns) => {
    expect(of(query)).toEqual(patterns);
  });

  test("of the header come before those of the query", () => {
    expect(of("?tags=c", "a, b/%23")).toEqual(["a", "b/#", "c"]);
    expect(of("", "a")).toEqual(["a"]);
    expect(of("", " ")).toEqual(null);
  });

  test.each(["%", "%2", "%zz", "%ff", "%C3%28", "%ED%A0%80"])(
    "are refused where %j is no percent-encoded UTF-8",
    (text) => {
      expect(() => of(`?tags=ok,${text}`)).toThrow(URIError);
      expect(() => of("", text)).toThrow(URIError);
    },
  );
});
