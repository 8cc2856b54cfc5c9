import { describe, expect, test } from "bun:test";
import { hostsOf, parseRedisAddress } from "../../../src/core/redis-address.ts";

const urls = (text: string) => parseRedisAddress(text)?.urls;

describe("An address of Redis", () => {
  test("is one server or several, each with the login that stands before the first of its URL", () => {
    expect(urls("redis://127.0.0.1:6379")).toEqual(["redis://127.0.0.1:6379"]);
    expect(urls("rediss://u:p%40@a.example:7000,b:7001,[::1]:7002")).toEqual([
      "rediss://u:p%40@a.example:7000",
      "rediss://u:p%40@b:7001",
      "rediss://u:p%40@[::1]:7002",
    ]);
    expect(urls("redis://:x,y@a,redis://b:1/0")).toEqual(["redis://:x,y@a", "redis://b:1/0"]);
    expect(parseRedisAddress("redis://a")?.sentinel).toBeNull();
  });

  test("is Sentinels and a name, with a login of their own where they need one", () => {
    const plain = parseRedisAddress("redis+sentinel://a,b:1/my%20master");
    expect([plain?.urls, plain?.sentinel?.master]).toEqual([["redis://a:26379", "redis://b:1"], "my master"]);
    expect(plain?.sentinel?.urlOf("10.0.0.1", 6379)).toBe("redis://10.0.0.1:6379");
    const full = parseRedisAddress("rediss+sentinel://u:p@a/m?user=s&password=%2F");
    expect(full?.urls).toEqual(["rediss://s:%2F@a:26379"]);
    expect(full?.sentinel?.urlOf("::1", 1)).toBe("rediss://u:p@[::1]:1");
  });

  test("names its hosts without what is secret", () => {
    expect(hostsOf(parseRedisAddress("redis://u:p@a:1,b:2")!)).toBe("a:1, b:2");
  });

  test("is nothing else", () => {
    const wrong = [
      "",
      "a:1",
      "http://a",
      "redis://",
      "redis://a,,b",
      "redis://a:x",
      "redis://a,http://b",
      "redis://a b",
    ];
    const sentinel = ["redis+sentinel://a", "redis+sentinel://a/", "redis+sentinel://a/m?x=1", "redis+sentinel:///m"];
    for (const text of [...wrong, ...sentinel, "redis+sentinel://a/%"])
      expect([text, parseRedisAddress(text)]).toEqual([text, null]);
  });
});
