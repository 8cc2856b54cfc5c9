/** The page under /docs in Chromium: it shows every operation, sends a request, and asks no other host for anything. */
import { expect, test } from "bun:test";
import { Chromium } from "../harness/chromium.ts";
import { startConfigured } from "../harness/configured-process.ts";
import { adminToken } from "../harness/server.ts";

test("the documentation of the API is shown, and its operations can be tried", async () => {
  await using server = await startConfigured();
  await using chromium = await Chromium.open();
  const { page } = chromium;
  await page.goto(`${server.http}/docs`);
  const document = (await (await fetch(`${server.http}/openapi.json`)).json()) as { paths: Record<string, object> };
  const operations = Object.values(document.paths).flatMap((methods) => Object.keys(methods));
  const blocks = page.locator(".opblock");
  await blocks.nth(operations.length - 1).waitFor();
  expect(await blocks.count()).toBe(operations.length);

  await page.click("button.authorize");
  await page.locator(".auth-container input").first().fill(adminToken);
  await page.locator(".auth-btn-wrapper button.authorize").first().click();
  await page.locator("button.btn-done").first().click();
  const list = page.locator("#operations-Administration-listConnections");
  await list.locator(".opblock-summary-control").click();
  await list.locator("button.try-out__btn").click();
  await list.locator("button.execute").click();
  const shown = list.locator(".live-responses-table .response").first();
  await shown.waitFor();
  expect(await shown.innerText()).toContain("200");

  expect(chromium.requested.length).toBeGreaterThan(4);
  expect(chromium.requested.filter((url) => !url.startsWith(`${server.http}/`) && !url.startsWith("data:"))).toEqual(
    [],
  );
  expect(chromium.complaints).toEqual([]);
}, 20_000);
