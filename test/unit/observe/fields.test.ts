import { expect, test } from "bun:test";
import fc from "fast-check";
import { plain, plainFields } from "../../../src/observe/fields.ts";

test("secrets are hidden by name, at any depth and in any spelling", () => {
  const fields = {
    token: "s1",
    tokenId: "t-1",
    headers: new Map([
      ["Authorization", "Bearer s2"],
      ["Set-Cookie", "tagcast=s3"],
    ]),
    keys: [{ secret: "s4", keyId: "k" }],
    admin_token: "s5",
    password: null,
  };
  expect(JSON.parse(JSON.stringify(plain(fields)))).toEqual({
    token: "(hidden)",
    tokenId: "t-1",
    headers: { Authorization: "(hidden)", "Set-Cookie": "(hidden)" },
    keys: [{ secret: "(hidden)", keyId: "k" }],
    admin_token: "(hidden)",
    password: null,
  });
});

test("tokens inside other text are hidden", () => {
  const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
  expect(plain(`bad token ${jwt}, sent as "authorization: Bearer abc.def"`)).toBe(
    'bad token (hidden), sent as "authorization: Bearer (hidden)"',
  );
});

test("an error keeps its name, message, frames, own fields and its causes", () => {
  const cause = Object.assign(new TypeError("refused"), { code: "ECONNREFUSED" });
  const logged = plain(new Error("cannot connect\n    at forged (x:1:1)", { cause })) as Record<string, unknown>;
  expect(logged).toMatchObject({
    name: "Error",
    message: "cannot connect\n    at forged (x:1:1)",
    cause: { name: "TypeError", message: "refused", code: "ECONNREFUSED" },
  });
  expect(logged["stack"]).toStartWith("at ");
  expect(logged["stack"]).not.toContain("forged");
});

test("a chain of causes that never ends is cut", () => {
  const error = new Error("ring");
  error.cause = error;
  expect(JSON.stringify(plain(error)).match(/"ring"/g)).toHaveLength(7);
});

test("payload bytes are counted, not logged", () => {
  expect(plain({ body: new Uint8Array([1, 2, 3]), raw: new ArrayBuffer(2) })).toEqual({
    body: "(3 bytes)",
    raw: "(2 bytes)",
  });
});

test("text, lists and nesting are bounded", () => {
  expect((plain("x".repeat(100_000)) as string).length).toBe(4097);
  expect(plain(Array(1000).fill(1))).toHaveLength(64);
  const ring: Record<string, unknown> = {};
  ring["self"] = ring;
  expect(JSON.stringify(plain(ring))).toContain("nested too deeply");
});

test("names that a line has of its own get an underscore", () => {
  expect(plainFields({ level: 1, other: 2 }, new Set(["level"]))).toEqual({ level_: 1, other: 2 });
});

test("anything at all becomes something that JSON can hold", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withNullPrototype: true,
  });
  fc.assert(fc.property(anything, (value) => void JSON.stringify(plain(value))));
});
