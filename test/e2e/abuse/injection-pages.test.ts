/** Hostile text in Chromium: on the example page, and as answers that a browser is made to open. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { Chromium } from "../../harness/chromium.ts";
import { type ServerProcess, startProcess } from "../../harness/server.ts";
import type { WireClient } from "../../harness/wire-client.ts";
import { Caller } from "../../integration/api/caller.ts";
import { hostileTexts } from "./hostile-text.ts";

const texts = Object.values(hostileTexts);
const markup = hostileTexts["markup"] ?? "";
const longMs = 30_000;

let server: ServerProcess;
let publisher: WireClient;
let chromium: Chromium;

beforeAll(async () => {
  server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
  publisher = await server.connect();
  chromium = await Chromium.open();
}, longMs);
beforeEach(async () => {
  await chromium.page.goto("about:blank");
  chromium.complaints.length = chromium.requested.length = 0;
});
afterAll(async () => {
  await publisher[Symbol.asyncDispose]();
  await chromium[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Whether script of others ran in the page. */
const isOwned = () => chromium.page.evaluate("window.owned === 1");

test(
  "the page with sensors shows hostile tags and units as text",
  async () => {
    const { page } = chromium;
    const tags = texts.map((text, i) => `host/shown/${i}${text}`);
    for (const [i, tag] of tags.entries()) {
      const text = texts[i] ?? "";
      await publisher.ok(op.publish, tag, { value: 1.5, unit: text, time: text, max: text });
      await publisher.ok(op.publish, tag, { [text]: text });
      await publisher.ok(op.publish, tag, text);
      await publisher.ok(op.publish, tag, { value: 2.5, unit: text });
    }
    await page.goto(`${server.http}/examples/`);
    await page.fill("#token", server.token);
    await page.fill("#pattern", "host/shown/#");
    await page.click("#connect button[type=submit]");
    const cards = page.locator("#sensors > li");
    await cards.nth(tags.length - 1).waitFor();
    for (let i = 0; i < tags.length; i++) await cards.nth(i).locator(".subscribe").click();
    await page
      .locator('#sensors > li[data-received="4"]')
      .nth(tags.length - 1)
      .waitFor();
    const shown = await page.evaluate<string[]>(
      `[...document.querySelectorAll("#sensors > li h3")].map((name) => name.textContent)`,
    );
    expect(shown.toSorted()).toEqual(tags.toSorted());
    const units = await page.evaluate<string[]>(
      `[...document.querySelectorAll("#sensors > li .value small")].map((unit) => unit.textContent)`,
    );
    expect(units.toSorted()).toEqual(texts.toSorted());
    expect(await page.evaluate(`document.querySelectorAll("#sensors script, #sensors img").length`)).toBe(0);
    expect(await isOwned()).toBe(false);
    expect(chromium.complaints).toEqual([]);
    expect(chromium.requested.filter((url) => new URL(url).host !== new URL(server.http).host)).toEqual([]);
  },
  longMs,
);

test("the page refuses a hostile pattern and token as text", async () => {
  const { page } = chromium;
  await page.goto(`${server.http}/examples/`);
  await page.fill("#token", markup);
  await page.fill("#pattern", `${markup}/#`);
  await page.click("#connect button[type=submit]");
  await page.waitForSelector("#trouble:not([hidden])");
  expect(await isOwned()).toBe(false);
  // Chromium says on the console that the token was refused.
  expect(chromium.complaints.filter((text) => !text.includes("status of 401"))).toEqual([]);
});

test("no answer that holds hostile text is a page", async () => {
  const { page } = chromium;
  const caller = new Caller(server, server.token);
  await caller.call("/v1/tokens", { json: { name: markup, client: "c", grants: { [`x/${markup}`]: ["read"] } } });
  await caller.publish({ tag: `host/${markup}`, payload: markup });
  const encoded = encodeURIComponent(markup);
  const { host } = new URL(server.http);
  await page.context().addCookies([{ name: "tagcast", value: server.token, url: server.http }]);
  const paths = [
    "/v1/tokens",
    `/v1/history?tag=host/${encoded}`,
    `/v1/history?tag=${encoded}%23`,
    `/v1/tags?pattern=${encoded}%2Bx`,
    `/v1/tokens/${encoded}`,
    `/docs/${encoded}`,
    `/examples/${encoded}`,
    `/${encoded}`,
    `/ws?tags=${encoded}`,
    `/events?tags=${encoded}&last=${encoded}`,
  ];
  for (const path of paths) {
    const response = await page.goto(server.http + path);
    const type = response?.headers()["content-type"] ?? "";
    expect({ path, html: type.includes("html"), sniffed: response?.headers()["x-content-type-options"] }).toEqual({
      path,
      html: false,
      sniffed: "nosniff",
    });
    expect({ path, owned: await isOwned() }).toEqual({ path, owned: false });
    expect(new URL(page.url()).host).toBe(host);
  }
  // The cookie did count: what is shown holds the text.
  await page.goto(`${server.http}/v1/tokens`);
  expect(await page.evaluate("document.body.textContent")).toContain("window.owned=1");
});

test("what finds a break finds it in a page without defence", async () => {
  await chromium.page.evaluate(`document.body.innerHTML = ${JSON.stringify(markup)}`);
  await chromium.page.waitForFunction("window.owned === 1");
  expect(await isOwned()).toBe(true);
});
