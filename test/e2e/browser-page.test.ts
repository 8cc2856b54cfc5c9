/** The page under /examples/ in Chromium, by clicking, against a server process behind a network that is cut. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Locator, Page } from "playwright-core";
import { type Client, connect } from "../../src/client/client.ts";
import { Chromium } from "../harness/chromium.ts";
import { Example } from "../harness/example.ts";
import { Proxy } from "../harness/proxy.ts";
import { type ServerProcess, startProcess } from "../harness/server.ts";

/** A browser on a busy machine takes its time to start. */
const longMs = 30_000;

let server: ServerProcess;
let publisher: Client;
let chromium: Chromium;
let proxy: Proxy;
let page: Page;
let origin: string;
/** Of the readings of all tests: a tenth of a second apart, as host-metrics.ts has them. */
let time = Date.now();

beforeAll(async () => {
  server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
  publisher = connect(server.url, { token: server.token });
  chromium = await Chromium.open();
  page = chromium.page;
}, longMs);
beforeEach(async () => {
  proxy?.[Symbol.dispose]();
  proxy = new Proxy(Number(new URL(server.http).port));
  origin = `http://127.0.0.1:${proxy.port}`;
  // The page of the test before has no more to say.
  await page.goto("about:blank");
  chromium.requested.length = chromium.complaints.length = 0;
  await page.goto(`${origin}/examples/`);
});
afterAll(async () => {
  publisher.close();
  await chromium[Symbol.asyncDispose]();
  proxy[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

async function publish(tag: string, values: readonly number[]): Promise<void> {
  for (const value of values) await publisher.publish(tag, { time: (time += 100), value, unit: "%", max: 100 });
}

/** Connects the page, its sensors being those that `pattern` matches. */
async function enter(pattern: string, token = server.token): Promise<void> {
  await page.fill("#token", token);
  await page.fill("#pattern", pattern);
  await page.click("#connect button[type=submit]");
}

/** The card of a sensor, once it has these attributes. */
async function sensor(tag: string, attributes: Readonly<Record<string, string | number>> = {}): Promise<Locator> {
  const wanted = Object.entries(attributes).map(([name, value]) => `[data-${name}="${value}"]`);
  const card = page.locator(`[data-tag="${tag}"]${wanted.join("")}`);
  await card.waitFor().catch(async (error: unknown) => {
    const now = await page.evaluate("JSON.stringify([...document.querySelectorAll('li')].map((li) => li.dataset))");
    throw new Error(`${String(error)}\nThe sensors: ${String(now)}`);
  });
  return card;
}

const range = (count: number) => Array.from({ length: count }, (_, i) => (i * 7) % 100);

/** Runs in the page: how many pixels of a plot have the colour of the curve. */
const curvePixels = `(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const accent = getComputedStyle(document.querySelector("button.primary")).backgroundColor.match(/\\d+/g).map(Number);
  let drawn = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] > 0 && accent.every((part, n) => data[i + n] === part)) drawn++;
  }
  return drawn;
}`;
const pixelsOf = (tag: string): Promise<number> =>
  page.evaluate(`(${curvePixels})(document.querySelector('[data-tag="${tag}"] canvas'))`);

/** A managed token with these grants. */
async function createToken(grants: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const response = await fetch(`${server.http}/v1/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "a page", grants }),
  });
  expect(response.status).toBe(201);
  return ((await response.json()) as { secret: string }).secret;
}

test("Subscribe shows live values and a plot; Cancel stops exactly that sensor", async () => {
  await publish("host/click/a", range(5));
  await publish("host/click/b", range(5));
  await publish("elsewhere/c", [1]);
  await enter("host/click/#");
  const a = await sensor("host/click/a", { status: "off" });
  const b = await sensor("host/click/b", { status: "off" });
  expect(await page.locator("#sensors > li").count()).toBe(2);

  await a.getByRole("button", { name: "Subscribe" }).click();
  await sensor("host/click/a", { status: "live", received: 5, plotted: 5 });
  await publish("host/click/a", [...range(20), 42]);
  await sensor("host/click/a", { received: 26, plotted: 26, offsets: "1-26", missing: 0 });
  expect(await page.locator('[data-tag="host/click/a"] .value').innerText()).toMatch(/^42\.0\s%$/);
  expect(await pixelsOf("host/click/a")).toBeGreaterThan(50);
  expect(await b.getAttribute("data-received")).toBe("0");

  await b.getByRole("button", { name: "Subscribe" }).click();
  await sensor("host/click/b", { status: "live", received: 5 });
  await page.locator('[data-tag="host/click/a"]').getByRole("button", { name: "Cancel" }).click();
  await sensor("host/click/a", { status: "off" });
  await publish("host/click/a", range(10));
  await publish("host/click/b", range(10));
  await sensor("host/click/b", { status: "live", offsets: "1-15", missing: 0, plotted: 15 });
  await sensor("host/click/a", { status: "off", received: 26, offsets: "1-26" });

  await page.locator('[data-tag="host/click/a"]').getByRole("button", { name: "Subscribe" }).click();
  await sensor("host/click/a", { status: "live", received: 36, offsets: "1-36", plotted: 36 });
  expect(chromium.complaints).toEqual([]);
});

test("a lost connection shows as a pause, and no point is missing after it", async () => {
  await publish("host/cut/a", range(30));
  await enter("host/cut/#");
  await (await sensor("host/cut/a")).getByRole("button", { name: "Subscribe" }).click();
  await sensor("host/cut/a", { status: "live", received: 30, plotted: 30 });
  proxy.cut();
  await sensor("host/cut/a", { status: "paused", received: 30 });
  expect(await page.locator("#state").innerText()).toMatch(/lost|connecting/);
  await publish("host/cut/a", range(50));
  proxy.mend();
  await sensor("host/cut/a", { status: "live", received: 80, offsets: "1-80", missing: 0, plotted: 80 });
  expect(await page.locator("#state").innerText()).toBe("connected");
});

test("no point is missing where the connection is cut again and again while readings come", async () => {
  await publish("host/cuts/a", [0]);
  await enter("host/cuts/#");
  await (await sensor("host/cuts/a")).getByRole("button", { name: "Subscribe" }).click();
  await sensor("host/cuts/a", { status: "live" });
  for (let cut = 1; cut <= 3; cut++) {
    await publish("host/cuts/a", range(40));
    proxy.drop();
    await publish("host/cuts/a", range(40));
    await sensor("host/cuts/a", { status: "live", offsets: `1-${1 + 80 * cut}` });
  }
  await sensor("host/cuts/a", { received: 241, offsets: "1-241", missing: 0, plotted: 241 });
});

test("the readings of host-metrics.ts are found, and shown as they come", async () => {
  const env = { TAGCAST_URL: server.url, TAGCAST_TOKEN: server.token };
  await using metrics = new Example("host-metrics.ts", ["--name", "here"], env);
  await metrics.until(/^Publishing to host\/here\/# every 100 ms$/m);
  await enter("host/here/#");
  for (const name of ["cpu/0", "load", "memory"]) await sensor(`host/here/${name}`, { status: "off" });
  const load = await sensor("host/here/load");
  await load.getByRole("button", { name: "Subscribe" }).click();
  await load.and(page.locator('[data-status="live"]')).waitFor();
  for (let more = 0; more < 3; more++) {
    const received = await load.getAttribute("data-received");
    await load.and(page.locator(`:not([data-received="${received}"])`)).waitFor();
  }
  await sensor("host/here/load", { missing: 0 });
  expect(metrics.stderr).toBe("");
});

test("a token that is refused is said to be, and of one that is accepted no script can read anything", async () => {
  await enter("host/#", "no-such-token");
  await page.locator('#state[data-state="closed"]').waitFor();
  expect(await page.locator("#trouble").innerText()).not.toBe("");
  await enter("host/#");
  await page.locator('#state[data-state="active"]').waitFor();
  expect(await page.locator("#trouble").innerText()).toBe("");
  const kept =
    "[document.querySelector('#token').value, Object.keys(sessionStorage).sort(), localStorage.length, document.cookie]";
  expect(await page.evaluate(kept)).toEqual(["", ["login", "pattern"], 0, ""]);
  const [cookie] = await page.context().cookies();
  expect(cookie).toMatchObject({ name: "tagcast", httpOnly: true, sameSite: "Strict" });
  expect(cookie?.value).not.toContain(server.token);
  await page.reload();
  await page.locator('#state[data-state="active"]').waitFor();
  await page.click("#leave");
  await page.locator('#state[data-state="closed"]').waitFor();
  await page.waitForFunction("fetch('/login').then(({ status }) => status === 401)");
  expect(await page.context().cookies()).toEqual([]);
  const elsewhere = chromium.requested.filter(
    (url) => ![origin, origin.replace("http", "ws")].includes(new URL(url).origin),
  );
  expect(elsewhere.filter((url) => !url.startsWith("data:"))).toEqual([]);
  expect(chromium.requested.some((url) => url.startsWith("ws:"))).toBe(true);
  expect(chromium.requested.join()).not.toContain(server.token);
});

test("a token without history sees what is live", async () => {
  await publish("host/live/a", range(5));
  const secret = await createToken({ "host/live/#": ["subscribe"] });
  await enter("host/live/#", secret);
  await (await sensor("host/live/a")).getByRole("button", { name: "Subscribe" }).click();
  await sensor("host/live/a", { status: "live" });
  await publish("host/live/a", [1, 2, 3]);
  await sensor("host/live/a", { status: "live", offsets: "5-8", missing: 0 });
});
