/** The pages under /examples/ as any HTTP client gets them. */
import { expect, test } from "bun:test";
import { problemType } from "../../../src/gateway/problem.ts";
import { startServer } from "../../harness/server.ts";

const get = (url: string, init: RequestInit = {}) => fetch(url, { redirect: "manual", ...init });

/** What the page refers to, beside the empty icon. */
function references(html: string): string[] {
  return [...html.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g)].map(([, path = ""]) => path);
}

/** The page and all it refers to come from this origin, with types and hashed names. */
async function expectWhole(http: string): Promise<void> {
  const page = await get(`${http}/examples/`);
  expect(page.status).toBe(200);
  expect(page.headers.get("content-type")).toStartWith("text/html");
  const paths = references(await page.text());
  expect(paths.map((path) => path.replace(/-\w{8,}\./, "-HASH.")).sort()).toEqual([
    "/examples/chunk-HASH.css",
    "/examples/chunk-HASH.js",
  ]);
  for (const path of paths) {
    const asset = await get(http + path);
    expect(asset.status).toBe(200);
    expect(asset.headers.get("content-type")).toStartWith(path.endsWith(".js") ? "text/javascript" : "text/css");
    expect(asset.headers.get("cache-control")).toContain("immutable");
    const text = await asset.text();
    expect(text.length).toBeGreaterThan(2000);
    // Nothing is loaded from elsewhere: names of XML, and links in comments, are no requests.
    expect(text.match(/(?:import|url)\s*\(\s*["']?(?:https?:)?\/\//g)).toBeNull();
  }
}

test("the page and what it refers to are served without a credential", async () => {
  await using server = await startServer();
  await expectWhole(server.http);
});

test("the page and its parts allow nothing from elsewhere, and are not taken for another type", async () => {
  await using server = await startServer();
  const page = await get(`${server.http}/examples/`);
  const policy = new Map(
    page.headers
      .get("content-security-policy")
      ?.split("; ")
      .map((directive) => directive.split(" ", 1).concat(directive.replace(/^\S+ /, "")) as [string, string]),
  );
  expect(policy.get("default-src")).toBe("'none'");
  expect(policy.get("frame-ancestors")).toBe("'none'");
  expect(new Set([...policy.values()].flatMap((sources) => sources.split(" ")))).toEqual(
    new Set(["'none'", "'self'", "data:"]),
  );
  for (const path of ["/examples/", ...references(await page.text())]) {
    const { headers } = await get(server.http + path, { method: "HEAD" });
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toBe(page.headers.get("content-security-policy"));
    expect(Number(headers.get("content-length"))).toBeGreaterThan(1000);
  }
});

test("what a browser has already is not sent again", async () => {
  await using server = await startServer();
  const etag = (await get(`${server.http}/examples/`)).headers.get("etag") ?? "";
  expect(etag).toMatch(/^"\w+"$/);
  const known = await get(`${server.http}/examples/`, { headers: { "if-none-match": `W/"x", ${etag}` } });
  expect([known.status, await known.text()]).toEqual([304, ""]);
  const other = await get(`${server.http}/examples/`, { headers: { "if-none-match": '"x"' } });
  expect(other.status).toBe(200);
});

test("other paths and methods are refused as problems", async () => {
  await using server = await startServer();
  const moved = await get(`${server.http}/examples`);
  expect([moved.status, moved.headers.get("location")]).toEqual([308, "/examples/"]);
  for (const path of ["index.html", "app.ts", "..%2fpackage.json", "chunk-.js", "/"]) {
    const missing = await get(`${server.http}/examples/${path}`);
    expect([path, missing.status, missing.headers.get("content-type")]).toEqual([path, 404, problemType]);
  }
  const posted = await get(`${server.http}/examples/`, { method: "POST", body: "x" });
  expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
});
