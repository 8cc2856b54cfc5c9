import { expect, test } from "bun:test";
import { ruleOf } from "../../../src/core/tag-rule.ts";
import { problemsOf, resolve } from "../../harness/config.ts";

async function rulesOf(toml: string) {
  return (await resolve({ toml })).config.applications.get("main")!.rules;
}

test("the rule of the documentation's example is read whole", async () => {
  const toml = `
[[tags]]
pattern = "log/#"
history = { size = 100000, ttl = "1h" }   # at least \`size\` messages, none older than ttl; also bytes = "64MiB"
retain = true
`;
  expect(await rulesOf(toml)).toEqual([
    {
      pattern: "log/#",
      history: { size: 100_000, ttlMs: 3_600_000 },
      retain: true,
      presence: false,
      delivery: "reliable",
      local: false,
    },
  ]);
});

test("every field of a rule is read, and rules keep their order", async () => {
  const toml = `
[[tags]]
pattern = "a/b"
history = { size = 5, ttl = 1500, bytes = "64MiB" }
presence = true
delivery = "latest"
local = true
[[tags]]
pattern = "a/+"
`;
  const rules = await rulesOf(toml);
  expect(rules).toEqual([
    {
      pattern: "a/b",
      history: { size: 5, ttlMs: 1500, bytes: 64 * 1024 ** 2 },
      retain: false,
      presence: true,
      delivery: "latest",
      local: true,
    },
    { pattern: "a/+", history: null, retain: false, presence: false, delivery: "stream", local: false },
  ]);
  expect(ruleOf(rules, "a/c")).toBe(rules[1]!);
});

test("retain alone keeps a log of one message, delivered reliably", async () => {
  expect(await rulesOf('[[tags]]\npattern = "a"\nretain = true')).toMatchObject([
    { history: { size: 1 }, retain: true, delivery: "reliable" },
  ]);
});

test.each(["latest", "reliable"])("delivery %s needs a log", async (delivery) => {
  const rule = `[[tags]]\npattern = "a"\ndelivery = "${delivery}"\n`;
  const [problem, ...others] = await problemsOf({ toml: rule });
  expect(others).toEqual([]);
  expect(problem).toMatchObject({ key: "tags #1 delivery" });
  expect(problem?.message).toContain("needs a log");
  expect(await problemsOf({ toml: `${rule}retain = true` })).toEqual([]);
  expect(await problemsOf({ toml: `${rule}history = { size = 1 }` })).toEqual([]);
});

test("delivery stream goes with a log too", async () => {
  expect(await rulesOf('[[tags]]\npattern = "a"\nretain = true\ndelivery = "stream"')).toMatchObject([
    { delivery: "stream" },
  ]);
});

test.each([
  ["pattern = 1", "tags #1 pattern", "expected a tag or pattern"],
  ['pattern = "a/#/b"', "tags #1 pattern", "expected a tag or pattern"],
  ["retain = true", "tags #1 pattern", "is missing"],
  ['pattern = "a"\nretian = true', "tags #1 retian", 'did you mean "retain"?'],
  ['pattern = "a"\nretain = "perhaps"', "tags #1 retain", "expected true or false"],
  ['pattern = "a"\ndelivery = "fast"', "tags #1 delivery", 'expected one of "latest", "stream", "reliable"'],
  ['pattern = "a"\nhistory = 5', "tags #1 history", "expected a table such as"],
  ['pattern = "a"\nhistory = {}', "tags #1 history size", "is missing: expected an integer from 1"],
  ['pattern = "a"\nhistory = { size = 0 }', "tags #1 history size", "got 0"],
  ['pattern = "a"\nhistory = { size = 1, ttl = "1 hour" }', "tags #1 history ttl", "expected a duration from 1s"],
  ['pattern = "a"\nhistory = { size = 1, bytes = "1" }', "tags #1 history bytes", "expected a size from 1KiB"],
  ['pattern = "a"\nhistory = { size = 1, length = 2 }', "tags #1 history length", "unknown key"],
])("a rule with %j is told", async (body, key, message) => {
  const [problem, ...others] = await problemsOf({ toml: `[[tags]]\n${body}` });
  expect(others).toEqual([]);
  expect(problem?.key).toBe(key);
  expect(problem?.message).toContain(message);
});

test("a rule that an earlier one leaves nothing to match is told", async () => {
  const patterns = ["a/b", "a/#", "a/b", "$sys/x", "a/+/c"];
  const toml = patterns.map((pattern) => `[[tags]]\npattern = "${pattern}"`).join("\n");
  expect((await problemsOf({ toml })).map(({ key }) => key)).toEqual(["tags #3 pattern", "tags #5 pattern"]);
});

test("tags that is no list of tables is told", async () => {
  for (const toml of ["tags = 5", '[tags]\npattern = "a"', "tags = [5]"]) {
    expect((await problemsOf({ toml })).map(({ message }) => message)).toEqual([
      expect.stringMatching(/^expected .*table/),
    ]);
  }
});
