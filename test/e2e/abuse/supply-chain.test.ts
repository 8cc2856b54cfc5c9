/** The bill of materials against the lock file, and the audit against registries that answer, warn, refuse and are away. */
import { describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { scratchDirectory, startProcess } from "../../harness/server.ts";
import { read, root } from "../../harness/source-tree.ts";
import { Caller } from "../../integration/api/caller.ts";
import { audit } from "../../supply-chain/audit.ts";
import { folderOf, LockFile, readLockFile } from "../../supply-chain/lock-file.ts";
import { type BillOfMaterials, billOfMaterials } from "../../supply-chain/sbom.ts";

const lock = await readLockFile();
const bill = await billOfMaterials(lock);
const manifest = JSON.parse(await read("package.json")) as Record<string, Record<string, string>>;
const refs = new Set(bill.components.map((component) => component["bom-ref"]));

/** The packages of the lock file as its text has them, read in another way. */
const lockLines = [
  ...(await read("bun.lock")).matchAll(/^ {4}"[^"]+": \["(@?[^@"]+)@([^"]+)", .*"sha512-([^"]+)"\],$/gm),
];

describe("the bill of materials", () => {
  test("is CycloneDX 1.6", () => {
    expect(bill).toMatchObject({
      $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      version: 1,
    });
    expect(bill.serialNumber).toMatch(/^urn:uuid:[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    const { name, version } = manifest as unknown as Record<string, string>;
    expect(bill.metadata.component).toMatchObject({
      type: "application",
      name,
      version,
      purl: `pkg:npm/${name}@${version}`,
    });
    for (const component of bill.components) {
      expect(component.purl).toMatch(/^pkg:npm\/(%40[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+[\w.+-]*$/);
      expect(component["bom-ref"]).toBe(component.purl);
      expect(component.type).toBe("library");
      expect(component.hashes).toEqual([
        { alg: "SHA-512", content: expect.stringMatching(/^[\da-f]{128}$/) as string },
      ]);
      for (const entry of component.licenses ?? []) {
        const told = "expression" in entry ? entry.expression : "id" in entry.license ? entry.license.id : "";
        expect(told).toMatch(/^[\w.+() -]+$/);
      }
    }
    expect(refs.size).toBe(bill.components.length);
  });

  test("has every package of bun.lock with its version and hash, and no other", () => {
    const locked = new Set(
      lockLines.map(([, name = "", version, digest = ""]) => {
        return `${name}@${version} ${Buffer.from(digest, "base64").toString("hex")}`;
      }),
    );
    const listed = bill.components.map(({ group, name, version, hashes }) => {
      return `${group === undefined ? "" : `${group}/`}${name}@${version} ${hashes?.[0]?.content}`;
    });
    expect(locked.size).toBeGreaterThan(40);
    expect(new Set(listed)).toEqual(locked);
    expect(lock.packages).toHaveLength(lockLines.length);
  });

  test("tells what uses what: everything is reached from the project, by what packages themselves ask for", async () => {
    const graph = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    const own = bill.metadata.component["bom-ref"];
    expect(new Set(graph.keys())).toEqual(new Set([own, ...refs]));
    const asked = Object.entries({ ...manifest["dependencies"], ...manifest["devDependencies"] });
    const direct = asked.map(([name, version]) => `pkg:npm/${name.replace("@", "%40")}@${version}`);
    expect(graph.get(own)?.toSorted()).toEqual(direct.toSorted());
    const seen = new Set([own]);
    for (const ref of seen) for (const next of graph.get(ref) ?? []) seen.add(next);
    expect(seen).toEqual(new Set([own, ...refs]));
    for (const each of lock.packages.filter(({ platform }) => !platform)) {
      const { dependencies = {} } = (await Bun.file(join(folderOf(each), "package.json")).json()) as {
        dependencies?: Record<string, string>;
      };
      const uses = lock.uses(each).map(({ name }) => name);
      expect(uses).toEqual(expect.arrayContaining(Object.keys(dependencies)) as string[]);
    }
  });

  test("tells what runs from what is for development alone", () => {
    const scopes = new Map(bill.components.map(({ group, name, scope }) => [`${group ?? ""}/${name}`, scope]));
    for (const name of ["hono", "jose", "pino", "zod", "redis", "tdigest"])
      expect(scopes.get(`/${name}`)).toBe("required");
    for (const name of ["oxlint", "fast-check", "pure-rand", "playwright-core"])
      expect(scopes.get(`/${name}`)).toBe("excluded");
  });

  test("has the licence of everything that runs", () => {
    const without = bill.components.filter(({ scope, licenses }) => scope === "required" && licenses === undefined);
    expect(without.map(({ name }) => name)).toEqual([]);
  });

  test("is the same each time, on standard output and in a file", async () => {
    using directory = scratchDirectory();
    const path = join(directory.path, "sbom.json");
    const run = async (...args: readonly string[]) => {
      const child = Bun.spawn([process.execPath, "run", "sbom", ...args], {
        cwd: root,
        stdout: "pipe",
        stderr: "inherit",
      });
      expect(await child.exited).toBe(0);
      return child.stdout.text();
    };
    const text = await run();
    expect(JSON.parse(text)).toEqual(bill as never);
    expect(await run(path)).toBe("");
    expect(await Bun.file(path).text()).toBe(text);
  });

  test("has another serial number for another lock file", async () => {
    const text = await read("bun.lock");
    const changed = new LockFile(
      text.replace(/sha512-[A-Za-z\d]/, (start) => (start.endsWith("A") ? "sha512-B" : "sha512-A")),
    );
    const other: BillOfMaterials = await billOfMaterials(changed);
    expect(other.serialNumber).not.toBe(bill.serialNumber);
  });

  test("refuses a lock file with what comes from no registry", () => {
    const text = '{"workspaces": {"": {}}, "packages": {"a": ["a@github:b/c#d", {}, "b-c-d"]}}';
    expect(() => new LockFile(text)).toThrow("a is not from a registry");
  });

  test("finds a copy that only one package sees", () => {
    const entry = (spec: string, asked = {}) => [spec, "", asked, "sha512-AAAA"];
    const packages = {
      a: entry("a@1.0.0"),
      "@s/b": entry("@s/b@1.0.0", { dependencies: { a: "2", c: "1" } }),
      "@s/b/a": entry("a@2.0.0"),
      c: entry("c@1.0.0", { dependencies: { a: "1" } }),
    };
    const nested = new LockFile(JSON.stringify({ workspaces: { "": { dependencies: { "@s/b": "1" } } }, packages }));
    const [b] = nested.direct(false);
    expect(nested.uses(b!).map(({ key }) => key)).toEqual(["@s/b/a", "c"]);
    expect(nested.uses(nested.packages.find(({ key }) => key === "c")!).map(({ key }) => key)).toEqual(["a"]);
    expect(folderOf(nested.uses(b!)[0]!)).toEndWith("/node_modules/@s/b/node_modules/a");
  });
});

describe("the audit", () => {
  /** A registry that answers the one question of `bun audit`. */
  async function audited(answer: () => Response) {
    const registry = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
    try {
      return await audit({ BUN_CONFIG_REGISTRY: `http://127.0.0.1:${registry.port}/` });
    } finally {
      await registry.stop(true);
    }
  }
  const advisory = { id: 1, url: "https://example.com/1", title: "Bad", severity: "high", vulnerable_versions: "<99" };

  test("passes where nothing is known, and fails by name where something is", async () => {
    expect(await audited(() => Response.json({}))).toEqual({ status: 0, lines: ["no known vulnerabilities"] });
    expect(await audited(() => Response.json({ pino: [advisory] }))).toEqual({
      status: 1,
      lines: ["high: pino <99: Bad (https://example.com/1)"],
    });
  });

  test("says that it was skipped, and why, where the registry does not answer", async () => {
    for (const answer of [() => new Response("", { status: 405 }), () => new Response("<html>")]) {
      const { status, lines } = await audited(answer);
      expect([status, lines.length]).toEqual([0, 1]);
      expect(lines[0]).toStartWith("skipped: ");
    }
    const away = await audit({ BUN_CONFIG_REGISTRY: "http://127.0.0.1:1/" });
    expect(away).toEqual({ status: 0, lines: [expect.stringContaining("ConnectionRefused") as string] });
  });
});

describe("the token file of a server", () => {
  test("is readable by its user alone, also where the process would let others, and holds no secret", async () => {
    using directory = scratchDirectory();
    const path = join(directory.path, "deep", "tokens.json");
    await using server = await startProcess({
      args: ["--tokens", path, "--admin-token", "an admin token for this test"],
      wrapper: (command) => ["/bin/sh", "-c", 'umask 0; exec "$@"', "sh", ...command],
    });
    const caller = new Caller(server, "an admin token for this test");
    const { body } = await caller.call("/v1/tokens", { json: { name: "n", grants: {} } });
    const { secret } = body as { secret: string };
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(path, ".."))).mode & 0o777).toBe(0o700);
    expect(await Bun.file(path).text()).not.toContain(secret.slice(4));
  });
});
