/** The page under /docs: it comes out of this process whole, and may load nothing from elsewhere. */
import { describe, expect, test } from "bun:test";
import { startServer } from "../../harness/server.ts";

async function page(http: string): Promise<{ headers: Headers; html: string; files: readonly string[] }> {
  const { headers, text } = await get(`${http}/docs`);
  const files = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = ""]) => file);
  return { headers, html: text, files };
}

async function get(url: string): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(url);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** What a browser would fetch for a style sheet. */
const fetchedBy = (css: string) => [
  ...[...css.matchAll(/url\(\s*["']?([^"')]{0,40})/g)].map(([, url = ""]) => url),
  ...[...css.matchAll(/@import[^;]*/g)].map(([rule]) => rule),
];

describe("the page under /docs", () => {
  test("names nothing but its own parts, and each is there", async () => {
    await using server = await startServer();
    const { html, files, headers } = await page(server.http);
    expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(html).not.toMatch(/(https?:)?\/\//);
    expect(files).toEqual(["data:,", "docs/swagger-ui.css", "docs/swagger-ui.js", "docs/start.js"]);
    const types = await Promise.all(
      files.slice(1).map(async (file) => (await get(`${server.http}/${file}`)).headers.get("content-type")),
    );
    expect(types).toEqual([
      "text/css; charset=utf-8",
      "text/javascript; charset=utf-8",
      "text/javascript; charset=utf-8",
    ]);
  });

  test("starts with this server's document and without a validator on the network; its style fetches nothing", async () => {
    await using server = await startServer();
    const start = await get(`${server.http}/docs/start.js`);
    expect(start.text).toContain('url: "openapi.json"');
    expect(start.text).toContain("validatorUrl: null");
    expect(start.text).not.toMatch(/(https?:)?\/\//);
    const { text: css } = await get(`${server.http}/docs/swagger-ui.css`);
    expect(fetchedBy(css).filter((url) => !url.startsWith("data:"))).toEqual([]);
    expect(fetchedBy("@import 'x';a{b:url(//c.d/e)}")).toEqual(["//c.d/e", "@import 'x'"]);
  });

  test("forbids the browser to load from elsewhere, or to be framed", async () => {
    await using server = await startServer();
    const { headers } = await page(server.http);
    const policy = headers.get("content-security-policy") ?? "";
    const sources = policy.split(";").flatMap((directive) => directive.trim().split(" ").slice(1));
    expect(policy).toStartWith("default-src 'none'; ");
    expect([...new Set(sources)].sort()).toEqual(["'none'", "'self'", "'unsafe-inline'", "data:"]);
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
  });

  test("has no other parts", async () => {
    await using server = await startServer();
    for (const file of ["swagger-ui.js.map", "../package.json", "%2e%2e%2fpackage.json", ""]) {
      expect((await get(`${server.http}/docs/${file}`)).status).toBe(404);
    }
  });
});
