/**
 * Static pages from a Bun HTML import: bundled at the first request when run from source, taken from the executable
 * when compiled. It knows nothing of what the pages show.
 */
import { errors } from "../core/codes.ts";
import { problem } from "./problem.ts";

interface Asset {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/** A file of the bundle, named as the HTML refers to it behind the slash. */
interface Bundled {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Nothing from elsewhere, no inline script or style, no frame around it. WebSockets of the own origin are `'self'`. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const year = 365 * 24 * 3600;

export class Pages {
  /** Where they are, with a slash at both ends. */
  readonly mount: string;
  readonly #bundle: Bun.HTMLBundle;
  #assets: Promise<ReadonlyMap<string, Asset>> | null = null;

  /** `bundle`: what `import page from "./page.html"` gives. */
  constructor(mount: string, bundle: Bun.HTMLBundle) {
    this.mount = mount;
    this.#bundle = bundle;
  }

  owns(path: string): boolean {
    return path.startsWith(this.mount) || path === this.mount.slice(0, -1);
  }

  /** Answers a request for a path of its own. Rejects where the sources cannot be bundled; the next request tries again. */
  async answer(request: Request, path: string): Promise<Response> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      const response = problem(405, errors.badRequest.code, "Pages are read with GET");
      response.headers.set("allow", "GET, HEAD");
      return response;
    }
    if (!path.startsWith(this.mount)) return new Response(null, { status: 308, headers: { location: this.mount } });
    const asset = (await this.#load()).get(path.slice(this.mount.length));
    if (asset === undefined) return problem(404, errors.badRequest.code, "There is nothing at this path");
    const known = request.headers.get("if-none-match")?.includes(asset.headers["etag"] ?? "");
    return new Response(known ? null : asset.body, {
      status: known ? 304 : 200,
      headers: asset.headers,
    });
  }

  async #load(): Promise<ReadonlyMap<string, Asset>> {
    this.#assets ??= load(this.#bundle, this.mount);
    try {
      return await this.#assets;
    } catch (error) {
      this.#assets = null;
      throw error;
    }
  }
}

/** The bundle by the path behind `mount`; the page itself has the empty one. */
async function load(bundle: Bun.HTMLBundle, mount: string): Promise<ReadonlyMap<string, Asset>> {
  const files = await (bundle.files ? embedded(bundle.files) : build(bundle.index));
  const assets = files.map((file): [string, Asset] => {
    const page = file.type.startsWith("text/html");
    const body = page ? moved(file, files, mount) : file.bytes;
    return [page ? "" : file.name, { body, headers: headersOf(file.type, body, page) }];
  });
  return new Map(assets);
}

function embedded(files: NonNullable<Bun.HTMLBundle["files"]>): Promise<Bundled[]> {
  return Promise.all(
    files.map(async ({ path, headers }) => ({
      name: baseName(path),
      type: headers["content-type"] ?? "application/octet-stream",
      bytes: await Bun.file(path).bytes(),
    })),
  );
}

async function build(entry: string): Promise<Bundled[]> {
  const { outputs } = await Bun.build({ entrypoints: [entry], target: "browser", minify: true, publicPath: "/" });
  return Promise.all(
    outputs.map(async (output) => {
      // Its type promises `bytes()`; 1.4.5 has none.
      const bytes = new Uint8Array(await output.arrayBuffer());
      return { name: baseName(output.path), type: output.type, bytes };
    }),
  );
}

/** The page with its references, which the bundler made for the root of the site, pointing below `mount`. */
function moved(page: Bundled, files: readonly Bundled[], mount: string): Uint8Array<ArrayBuffer> {
  const html = files.reduce(
    (text, { name }) => text.replaceAll(`"/${name}"`, () => `"${mount}${name}"`),
    new TextDecoder().decode(page.bytes),
  );
  return new TextEncoder().encode(html);
}

/** The names of what a page refers to change with the contents, so these can be kept for good. */
function headersOf(type: string, body: Uint8Array, page: boolean): Readonly<Record<string, string>> {
  return {
    "content-type": type,
    etag: `"${Bun.hash(body).toString(36)}"`,
    "cache-control": page ? "no-cache" : `public, max-age=${year}, immutable`,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": contentSecurityPolicy,
  };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
