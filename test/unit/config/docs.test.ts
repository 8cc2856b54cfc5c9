import { expect, test } from "bun:test";
import { flagHelp, renderConfigDocs } from "../../../src/config/docs.ts";
import { optionRows, variableOf } from "../../../src/config/options.ts";
import { historyFields, keyFields, tagFields } from "../../../src/config/sections.ts";
import { resolve } from "../../harness/config.ts";

const page = new URL("../../../docs/config.md", import.meta.url).pathname;

test("docs/config.md is in step with the tables: bun src/config/docs.ts > docs/config.md", async () => {
  expect(await Bun.file(page).text()).toBe(renderConfigDocs());
});

test("the page has a row for every option, with its variable, and for every field", () => {
  const docs = renderConfigDocs();
  for (const [, option] of optionRows) {
    expect(docs).toContain(`| \`--${option.key}\``);
    expect(docs).toContain(`| \`${variableOf(option.key)}\``);
  }
  for (const field of Object.keys({ ...tagFields, ...historyFields, ...keyFields }))
    expect(docs).toContain(`| \`${field}\``);
});

test("every example of the page is a valid configuration", async () => {
  const examples = [...renderConfigDocs().matchAll(/^```toml\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? "");
  expect(examples).toHaveLength(3);
  const { publicKey } = (await import("node:crypto")).generateKeyPairSync("ec", { namedCurve: "P-256" });
  const files = { "/etc/backend.pem": publicKey.export({ type: "spki", format: "pem" }) };
  const { applications } = (await resolve({ toml: examples.join("\n"), files })).config;
  expect([...applications.keys()]).toEqual(["main", "acme"]);
  expect(applications.get("main")?.keys).toHaveLength(2);
});

test("help lists the file's flag and every option's, with the default", () => {
  const flags = flagHelp();
  expect(flags).toHaveLength(optionRows.length + 1);
  expect(flags[0]?.flag).toBe("--config <path>");
  expect(flags.find(({ flag }) => flag.startsWith("--payload-max"))).toEqual({
    flag: "--payload-max <size>",
    help: "Largest payload of one message. Default: 1MiB.",
  });
});
