import { expect, test } from "bun:test";
import { problemsOf, resolve } from "../../harness/config.ts";

const key = (application: string, secret: string, more = "") =>
  `[[${application}keys]]\nalgorithm = "HS256"\nsecret = "${secret.repeat(32)}"\n${more}`;

test("each application has its own rules and keys; those at the top are main's", async () => {
  const toml = `
[[tags]]
pattern = "m"
${key("", "m")}
[applications.acme]
[[applications.acme.tags]]
pattern = "a"
${key("applications.acme.", "a")}
[applications.empty-1]
`;
  const { applications } = (await resolve({ toml })).config;
  const summary = [...applications].map(([name, app]) => [
    name,
    app.name,
    app.rules.map(({ pattern }) => pattern),
    app.keys.map(({ secret }) => secret?.[0]),
  ]);
  expect(summary).toEqual([
    ["main", "main", ["m"], ["m"]],
    ["acme", "acme", ["a"], ["a"]],
    ["empty-1", "empty-1", [], []],
  ]);
});

test.each([
  ["[applications.Acme]", "applications.Acme", "expected a name"],
  ['[applications."a b"]', "applications.a b", "expected a name"],
  ['[applications.""]', "applications.", "expected a name"],
  [`[applications.${"a".repeat(33)}]`, `applications.${"a".repeat(33)}`, "expected a name"],
  ["[applications.main]", "applications.main", "at the top of the file"],
  ["[applications]\na = 5", "applications.a", "expected a table, got 5"],
  ["applications = 5", "applications", "begun by [applications.NAME]"],
  ["[applications.a]\ntag = 5", "applications.a.tag", 'unknown key, did you mean "tags"?'],
  ["[[applications.a.tags]]\npattern = 5", "applications.a.tags #1 pattern", "expected a tag or pattern"],
])("%j is told", async (toml, path, message) => {
  const [problem, ...others] = await problemsOf({ toml });
  expect(others).toEqual([]);
  expect(problem?.key).toBe(path);
  expect(problem?.message).toContain(message);
});

test("a name of 32 characters will do", async () => {
  expect(await problemsOf({ toml: `[applications.${"a".repeat(32)}]` })).toEqual([]);
});

test("two applications cannot share a key, unless issuer or audience tells their tokens apart", async () => {
  const shared = `${key("", "s")}${key("applications.b.", "s")}`;
  expect((await problemsOf({ toml: shared })).map(({ key: path }) => path)).toEqual(["applications.b.keys"]);
  const apart = `${key("", "s", 'audience = "a"\n')}${key("applications.b.", "s", 'audience = "b"\n')}`;
  expect(await problemsOf({ toml: apart })).toEqual([]);
});
