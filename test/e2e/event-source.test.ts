/** The browser's own `EventSource`, let in by its cookie: it comes back by itself, and misses and doubles nothing. */
import { expect, test } from "bun:test";
import { op } from "../../src/wire/messages.ts";
import { Chromium } from "../harness/chromium.ts";
import { startConfigured } from "../harness/configured-process.ts";
import { adminToken } from "../harness/server.ts";

const toml = `
[[tags]]
pattern = "log/#"
history = { size = 100 }
`;

/** As the page sees it; told as text, since the types of pages are not those of this program. */
const listen = `
  document.cookie = "tagcast=${adminToken}; path=/";
  window.told = [];
  window.opened = 0;
  const events = new EventSource("/events?tags=log/a,log/%2B");
  events.addEventListener("open", () => window.opened++);
  events.addEventListener("message", ({ data }) => {
    const { payload, pattern = "log/a" } = JSON.parse(data);
    window.told.push(pattern + " " + payload);
  });
  for (const type of ["subscribed", "disconnect", "gap"]) {
    events.addEventListener(type, ({ data }) => window.told.push(type + " " + (JSON.parse(data).code ?? "")));
  }
`;

test("an EventSource goes on where it broke off", async () => {
  await using server = await startConfigured({ toml });
  await using publisher = await server.connect();
  await using browser = await Chromium.open();
  const { page } = browser;
  await page.goto(server.http);
  await page.evaluate(listen);
  await page.waitForFunction("window.told.length === 1");
  await publisher.ok(op.publish, "log/a", 1);
  await page.waitForFunction("window.told.length === 3");

  const headers = { authorization: `Bearer ${adminToken}` };
  const listed = await fetch(`${server.http}/v1/connections`, { headers });
  const { connections } = (await listed.json()) as { connections: readonly { id: string; transport: string }[] };
  const stream = connections.find(({ transport }) => transport === "sse");
  const ended = await fetch(`${server.http}/v1/connections/${stream?.id}?reconnect=true`, {
    method: "DELETE",
    headers,
  });
  expect(ended.ok).toBe(true);
  await page.waitForFunction("window.told.length === 4");
  await publisher.ok(op.publish, "log/a", 2);
  await publisher.ok(op.publish, "log/b", 3);

  await page.waitForFunction("window.opened === 2 && window.told.length === 8");
  await publisher.ok(op.publish, "log/b", 4);
  await page.waitForFunction("window.told.length === 9");
  const all = await page.evaluate<string[]>("window.told");
  expect(all.slice(0, 5)).toEqual(["subscribed ", "log/a 1", "log/+ 1", "disconnect 3008", "subscribed "]);
  expect(all.slice(5, 8).sort()).toEqual(["log/+ 2", "log/+ 3", "log/a 2"]);
  expect(all.slice(8)).toEqual(["log/+ 4"]);
}, 20_000);
