/** Grants: what a credential allows, whatever values its templates take. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { allGrants, type GrantMap, Grants, isGrantPattern, operations } from "../../../src/core/grants.ts";
import { covers, intersects, isPattern, matches } from "../../../src/core/tag.ts";

describe("Grants.allows()", () => {
  test("allows what a pattern grants and nothing else", () => {
    const grants = new Grants({ "plant/+/temp": ["subscribe"] });
    expect(grants.allows("subscribe", "plant/7/temp")).toBe(true);
    expect(grants.allows("publish", "plant/7/temp")).toBe(false);
    expect(grants.allows("subscribe", "plant/7/hum")).toBe(false);
  });

  test("read stands for subscribe, history and presence, readwrite also for publish, neither for admin", () => {
    const grants = new Grants({ r: ["read"], w: ["readwrite"] });
    expect(operations.filter((each) => grants.allows(each, "r"))).toEqual(["subscribe", "history", "presence"]);
    expect(operations.filter((each) => grants.allows(each, "w"))).toEqual([
      "subscribe",
      "publish",
      "history",
      "presence",
    ]);
  });

  test("lets deny beat allow, for the denied operation alone", () => {
    const grants = new Grants({ "#": ["readwrite"] }, { "secret/#": ["publish"] });
    expect(grants.allows("publish", "secret/x")).toBe(false);
    expect(grants.allows("subscribe", "secret/x")).toBe(true);
    expect(grants.allows("publish", "open")).toBe(true);
  });

  test("all grants do not reach the server's own tags", () => {
    const grants = new Grants(allGrants);
    expect(operations.every((each) => grants.allows(each, "a/b") && grants.allowsAll(each, "#"))).toBe(true);
    expect(operations.some((each) => grants.allows(each, "$sys/x"))).toBe(false);
  });

  test("gives operation names that are properties of every object no meaning", () => {
    const grants = new Grants({ a: ["constructor", "__proto__"] } as unknown as GrantMap);
    expect(operations.some((each) => grants.allows(each, "a"))).toBe(false);
  });
});

describe("Grants.allowsAll()", () => {
  test("needs one allow that covers the pattern wholly", () => {
    const grants = new Grants({ "a/+": ["subscribe"], "a/b/#": ["subscribe"] });
    expect(grants.allowsAll("subscribe", "a/+")).toBe(true);
    expect(grants.allowsAll("subscribe", "a/b/+/c")).toBe(true);
    expect(grants.allowsAll("subscribe", "a/#")).toBe(false);
    expect(grants.allowsAll("subscribe", "#")).toBe(false);
  });

  test("needs that no deny touches the pattern", () => {
    const grants = new Grants({ "#": ["subscribe"] }, { "a/+/secret": ["subscribe"] });
    expect(grants.allowsAll("subscribe", "a/#")).toBe(false);
    expect(grants.allowsAll("subscribe", "+/x/+")).toBe(false);
    expect(grants.allowsAll("subscribe", "a/+/open")).toBe(true);
    expect(grants.allowsAll("subscribe", "b/#")).toBe(true);
  });

  const map = fc.dictionary(
    fc
      .array(fc.constantFrom("a", "b", "+"), { minLength: 1, maxLength: 3 })
      .chain((levels) => fc.constantFrom(levels.join("/"), `${levels.join("/")}/#`)),
    fc.constant(["subscribe"] as const),
    { maxKeys: 3 },
  );

  test("never allows a pattern one of whose tags allows() refuses", () => {
    const tag = fc
      .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 })
      .map((levels) => levels.join("/"));
    fc.assert(
      fc.property(
        map,
        map,
        fc.constantFrom("#", "a/#", "+", "a/+", "+/b", "a/b/#"),
        tag,
        (allow, deny, pattern, each) => {
          const grants = new Grants(allow, deny);
          if (grants.allowsAll("subscribe", pattern) && matches(pattern, each))
            expect(grants.allows("subscribe", each)).toBe(true);
          const expected =
            Object.keys(allow).some((outer) => covers(outer, pattern)) &&
            !Object.keys(deny).some((other) => intersects(other, pattern));
          expect(grants.allowsAll("subscribe", pattern)).toBe(expected);
        },
      ),
    );
  });
});

describe("templates", () => {
  const allow: GrantMap = { "dev/${client}/#": ["publish"], "user/x-${sub}": ["publish"] };

  test("are filled from the credential's values", () => {
    const grants = new Grants(allow, {}, { client: "press-7", sub: "ann" });
    expect(grants.allows("publish", "dev/press-7/temp")).toBe(true);
    expect(grants.allows("publish", "dev/press-8/temp")).toBe(false);
    expect(grants.allows("publish", "user/x-ann")).toBe(true);
  });

  const hostile = [
    "",
    "a/b",
    "/",
    "+",
    "#",
    "x+",
    "#x",
    "a\0",
    "$sys",
    "${sub}",
    "\ud800",
    "x".repeat(256),
    null,
    undefined,
  ];

  test("with a value that could mean more expand to no grant", () => {
    for (const client of hostile) {
      const grants = new Grants(allow, {}, { client: client ?? null });
      for (const tag of ["dev/a", "dev/a/b", "dev", "dev/+/x", "dev//x", "dev/$sys/x", "dev/x/y", `dev/${client}/x`])
        expect([client, tag, grants.allows("publish", tag)]).toEqual([client, tag, false]);
      expect(grants.allowsAll("publish", "dev/#")).toBe(false);
    }
  });

  test("with a value that could mean more deny everything they could have meant", () => {
    for (const client of hostile) {
      const grants = new Grants(
        { "#": ["publish"] },
        { "dev/${client}/secret": ["publish"] },
        { client: client ?? null },
      );
      expect(grants.allows("publish", "dev/any/secret")).toBe(false);
      expect(grants.allows("publish", "dev/a/b/secret")).toBe(false);
      expect(grants.allowsAll("publish", "dev/#")).toBe(false);
      expect(grants.allowsAll("publish", "+")).toBe(false);
      expect(grants.allows("publish", "other")).toBe(true);
    }
  });

  // `#` was the stand-in for "everything", but it matches none of the server's tags.
  test("in the first level of a deny, when they cannot be filled, deny the server's tags too", () => {
    const grants = new Grants({ "$sys/#": ["subscribe"], "#": ["subscribe"] }, { "${client}/#": ["subscribe"] });
    expect(grants.allows("subscribe", "$sys/x")).toBe(false);
    expect(grants.allowsAll("subscribe", "$sys/#")).toBe(false);
    expect(grants.allows("subscribe", "a")).toBe(false);
  });

  test("that are unknown or unclosed cannot be filled", () => {
    for (const template of ["a/${user}", "a/${client", "a/${}", "a/${ client }", "a/${cli-ent}"]) {
      expect(isGrantPattern(template)).toBe(false);
      expect(new Grants({ [template]: ["publish"] }, {}, { client: "c" }).allows("publish", template)).toBe(false);
      expect(
        new Grants({ "#": ["publish"] }, { [template]: ["publish"] }, { client: "c" }).allows("publish", "a/c"),
      ).toBe(false);
    }
  });

  test("that are invalid patterns grant nothing and deny everything", () => {
    for (const pattern of ["a/#/b", "a+", "", "a\0", "x".repeat(256)]) {
      expect(isGrantPattern(pattern)).toBe(false);
      expect(new Grants({ [pattern]: ["publish"] }).allows("publish", "a")).toBe(false);
      expect(new Grants({ "#": ["publish"] }, { [pattern]: ["publish"] }).allows("publish", "z")).toBe(false);
    }
  });

  test("grant, for any value at all, at most tags of as many levels that begin the same", () => {
    const value = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("+", "#", "a/b", "$x", "a", "${sub}"));
    const tag = fc
      .array(fc.constantFrom("dev", "a", "b", "+", "$x", ""), { minLength: 1, maxLength: 4 })
      .map((all) => all.join("/"));
    fc.assert(
      fc.property(value, tag, (client, each) => {
        const grants = new Grants({ "dev/${client}/t": ["publish"] }, {}, { client });
        if (!grants.allows("publish", each)) return;
        expect(each).toBe(`dev/${client}/t`);
        expect(each.split("/")).toHaveLength(3);
        expect(isPattern(each)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
