/** Rooms of `src/`: imports point one way only, and the linter's configuration says so too. */
import { expect, test } from "bun:test";
import { filesIn, importsOf, read, resolveImport, withoutComments } from "../harness/source-tree.ts";

/** Each room, and the rooms to its left: those that its files may import from. */
const left: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  core: ["lib"],
  wire: ["lib", "core"],
  broker: ["lib", "core", "wire"],
  auth: ["lib", "core", "wire"],
  observe: ["lib", "core", "wire"],
  hub: ["lib", "core", "wire", "broker", "auth", "observe"],
  session: ["lib", "core", "wire", "broker", "auth", "observe", "hub"],
  gateway: ["lib", "core", "wire", "broker", "auth", "observe", "hub", "session"],
  client: ["lib", "core", "wire"],
  config: ["lib", "core"],
  "server.ts": ["lib", "core", "wire", "broker", "auth", "observe", "hub", "session", "gateway", "config"],
  cli: [
    "lib",
    "core",
    "wire",
    "broker",
    "auth",
    "observe",
    "hub",
    "session",
    "gateway",
    "client",
    "config",
    "server.ts",
  ],
  "main.ts": ["cli"],
  "build.ts": ["cli"],
};
const folders = Object.keys(left).filter((room) => !room.endsWith(".ts"));
/** Rooms that see a broker through its contract: as types. */
const contractOnly = new Set(["hub", "session"]);
const outside = ["test", "bench", "examples"];
/** The one way out of `src`: the composition root names the page that the server serves, and nothing else does. */
const page = { from: "src/server.ts", to: "examples/browser/index.html" };

/** `src/hub/hub.ts` → `hub`; `src/server.ts` → `server.ts`; `test/…` → `test`. */
function roomOf(path: string): string {
  const [top = "", room = ""] = path.split("/");
  return top === "src" ? room : top;
}

function violations(path: string, source: string): string[] {
  const from = roomOf(path);
  return importsOf(source).flatMap(({ specifier, typeOnly }) => {
    const target = resolveImport(path, specifier);
    if (target === null || target === "package.json") return [];
    const to = roomOf(target);
    const wrong = (why: string) => [`${path} imports ${specifier}: ${why}`];
    if (to === from || (path === page.from && target === page.to)) return [];
    if (!left[from]?.includes(to)) return wrong(`${to} is not to the left of ${from}`);
    if (to === "broker" && contractOnly.has(from) && !typeOnly) return wrong("a broker is seen as types only");
    return [];
  });
}

const files = await Promise.all(filesIn("src").map(async (path) => ({ path, source: await read(path) })));

test("every file of src stands in a room", () => {
  expect(files.length).toBeGreaterThan(10);
  expect(files.map(({ path }) => path).filter((path) => left[roomOf(path)] === undefined)).toEqual([]);
});

test("imports point to their own room or to rooms on the left", () => {
  expect(files.flatMap(({ path, source }) => violations(path, source))).toEqual([]);
});

test.each([
  ["src/core/tag.ts", 'import { op } from "../wire/messages.ts";'],
  ["src/core/tag.ts", 'import type { Op } from "../wire/messages.ts";'],
  ["src/core/tag.ts", 'import { type Op, op } from "../wire/messages.ts";'],
  ["src/core/tag.ts", 'export * from "../wire/messages.ts";'],
  ["src/core/tag.ts", 'import "../wire/messages.ts";'],
  ["src/core/tag.ts", 'const { op } = await import("../wire/messages.ts");'],
  ["src/core/tag.ts", 'type Op = import("../wire/messages.ts").Op;'],
  ["src/broker/redis/keys.ts", 'import { verify } from "../../auth/jwt.ts";'],
  ["src/hub/hub.ts", 'import { openMemoryBroker } from "../broker/memory.ts";'],
  ["src/session/session.ts", 'import { type Broker, nothing } from "../broker/broker.ts";'],
  ["src/client/client.ts", 'import { Session } from "../session/session.ts";'],
  ["src/gateway/http.ts", 'import { start } from "../server.ts";'],
  ["src/lib/ring.ts", 'import { fakeClock } from "../../test/harness/clock.ts";'],
  ["src/gateway/http.ts", 'import page from "../../examples/browser/index.html";'],
  ["src/server.ts", 'import { Sensor } from "../examples/browser/sensor.ts";'],
])("an import against the direction is found: %s: %s", (path, source) => {
  expect(violations(path, source)).toHaveLength(1);
});

test.each([
  ["src/core/tag.ts", 'import { assert } from "../lib/assert.ts";'],
  ["src/hub/hub.ts", 'import type { Broker } from "../broker/broker.ts";'],
  ["src/broker/redis/keys.ts", 'import { openLog } from "../memory/log.ts";'],
  ["src/server.ts", 'import examplesPage from "../examples/browser/index.html";'],
  ["src/cli/version.ts", 'import manifest from "../../package.json" with { type: "json" };'],
  ["src/core/tag.ts", '// import { op } from "../wire/messages.ts";'],
  ["src/auth/jwt.ts", 'import { jwtVerify } from "jose";'],
])("an import along the direction is not: %s: %s", (path, source) => {
  expect(violations(path, source)).toEqual([]);
});

test("an import that runs over several lines is seen whole", () => {
  const source =
    'import {\n  type Op,\n  op,\n} from "../wire/messages.ts";\nexport type {\n  Tag,\n} from "./tag.ts";\n';
  expect(importsOf(source)).toEqual([
    { specifier: "../wire/messages.ts", typeOnly: false },
    { specifier: "./tag.ts", typeOnly: true },
  ]);
});

interface LintRule {
  readonly patterns: readonly { readonly regex: string; readonly allowTypeImports?: boolean }[];
}
interface LintOverride {
  readonly files: readonly string[];
  readonly rules: { readonly "no-restricted-imports"?: readonly [string, LintRule] };
}

test("the linter's configuration holds the same direction", async () => {
  const lint = Bun.JSONC.parse(await read(".oxlintrc.json")) as { overrides: readonly LintOverride[] };
  const targets = [...Object.keys(left), ...outside];
  for (const from of folders) {
    const override = lint.overrides.find((o) => o.files[0] === `src/${from}/**` && o.rules["no-restricted-imports"]);
    const patterns = override?.rules["no-restricted-imports"]?.[1].patterns ?? [];
    const refused = (to: string, typeOnly: boolean) => {
      const specifier = to.endsWith(".ts") ? `../${to}` : `../${to}/x.ts`;
      return patterns.some(
        ({ regex, allowTypeImports }) => !(typeOnly && allowTypeImports) && new RegExp(regex).test(specifier),
      );
    };
    const allowed = (typeOnly: boolean) => targets.filter((to) => to !== from && !refused(to, typeOnly));
    const asValues = (left[from] ?? []).filter((to) => !(to === "broker" && contractOnly.has(from)));
    expect({ from, types: allowed(true).sort() }).toEqual({ from, types: [...(left[from] ?? [])].sort() });
    expect({ from, values: allowed(false).sort() }).toEqual({ from, values: asValues.sort() });
  }
});

/** What a room must not know, as it would stand in its code. */
const unknowns: Readonly<Record<string, RegExp>> = {
  core: /\b(setTimeout|setInterval|setImmediate|fetch|async|await|Date\.now|console)\b|["'](node:|bun)/,
  wire: /\b(setTimeout|setInterval|setImmediate|fetch|async|await|Promise|Date\.now|console)\b|["'](node:|bun)/,
};

test.each(Object.entries(unknowns))("%s knows no I/O, no timers and no clock", (room, unknown) => {
  const mine = files.filter(({ path }) => roomOf(path) === room);
  expect(mine.length).toBeGreaterThan(0);
  expect(mine.filter(({ source }) => unknown.test(withoutComments(source))).map(({ path }) => path)).toEqual([]);
});

test("sockets are opened to listen in gateway alone", () => {
  const listening = files.filter(({ source }) => /\bBun\.(serve|listen|udpSocket)\b/.test(withoutComments(source)));
  expect(listening.map(({ path }) => roomOf(path)).filter((room) => room !== "gateway")).toEqual([]);
});

test("the client depends on one package", () => {
  const packages = files
    .filter(({ path }) => roomOf(path) === "client")
    .flatMap(({ source }) => importsOf(source).map(({ specifier }) => specifier))
    .filter((specifier) => !specifier.startsWith("."));
  expect(new Set([...packages, "@msgpack/msgpack"])).toEqual(new Set(["@msgpack/msgpack"]));
});
