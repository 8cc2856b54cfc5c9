import { describe, expect, test } from "bun:test";
import { chooseLane, namedPatterns } from "../../../src/gateway/upgrade.ts";

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
