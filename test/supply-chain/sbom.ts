/**
 * `bun run sbom [path]`: the packages of `bun.lock` as a software bill of materials (CycloneDX 1.6, JSON), on standard
 * output or in a file. The same lock file gives the same text, on every machine.
 */
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { folderOf, type LockedPackage, type LockFile, readLockFile } from "./lock-file.ts";

type License =
  { readonly license: { readonly id: string } | { readonly name: string } } | { readonly expression: string };

export interface Component {
  readonly type: "application" | "library";
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  /** `excluded`: for development alone; `optional`: on some machines, or where something else is there too. */
  readonly scope?: "required" | "optional" | "excluded";
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly License[];
  readonly purl: string;
}

export interface BillOfMaterials {
  readonly $schema: string;
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly serialNumber: string;
  readonly version: number;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

export async function billOfMaterials(lock: LockFile): Promise<BillOfMaterials> {
  const running = reach(lock, lock.direct(false));
  const distinct = [...new Map(lock.packages.map((each) => [purlOf(each), each])).values()];
  const components = await Promise.all(distinct.map((each) => componentOf(each, scopeOf(each, running))));
  const own = { name: manifest.name, version: manifest.version };
  const refs = (packages: readonly LockedPackage[]) => [...new Set(packages.map(purlOf))];
  const dependencies = new Map<string, Set<string>>([[purlOf(own), new Set(refs(lock.direct(true)))]]);
  for (const each of lock.packages) {
    const known = dependencies.get(purlOf(each)) ?? new Set();
    dependencies.set(purlOf(each), known.union(new Set(refs(lock.uses(each)))));
  }
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: serialOf(lock),
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": purlOf(own),
        ...own,
        licenses: licensesOf(manifest.license),
        purl: purlOf(own),
      },
    },
    components: components.toSorted((a, b) => (a.purl < b.purl ? -1 : 1)),
    dependencies: [...dependencies].map(([ref, on]) => ({ ref, dependsOn: [...on] })),
  };
}

function reach(lock: LockFile, from: readonly LockedPackage[]): ReadonlySet<LockedPackage> {
  const seen = new Set<LockedPackage>();
  const open = [...from];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    if (seen.has(each)) continue;
    seen.add(each);
    open.push(...lock.uses(each));
  }
  return seen;
}

function scopeOf(each: LockedPackage, running: ReadonlySet<LockedPackage>): NonNullable<Component["scope"]> {
  if (!running.has(each)) return "excluded";
  return each.platform ? "optional" : "required";
}

async function componentOf(each: LockedPackage, scope: NonNullable<Component["scope"]>): Promise<Component> {
  const { name, version, integrity } = each;
  const [group, base] = name.startsWith("@") ? name.split("/") : [undefined, name];
  const dash = integrity.indexOf("-");
  const content = Buffer.from(integrity.slice(dash + 1), "base64").toString("hex");
  // What is installed on some machines only would make the text differ between them.
  const license = each.platform ? undefined : await licenseIn(folderOf(each));
  return {
    type: "library",
    "bom-ref": purlOf(each),
    ...(group !== undefined && { group }),
    name: base ?? name,
    version,
    scope,
    hashes: [{ alg: integrity.slice(0, dash).replace("sha", "SHA-"), content }],
    ...(license !== undefined && { licenses: licensesOf(license) }),
    purl: purlOf(each),
  };
}

async function licenseIn(folder: string): Promise<string | undefined> {
  const file = Bun.file(join(folder, "package.json"));
  if (!(await file.exists())) return undefined;
  const { license } = (await file.json()) as { license?: string | { type?: string } };
  return typeof license === "object" ? license.type : license;
}

function licensesOf(license: string): readonly License[] {
  if (/^[\w.+-]+$/.test(license)) return [{ license: { id: license } }];
  return [/^\(|\b(AND|OR|WITH)\b/.test(license) ? { expression: license } : { license: { name: license } }];
}

/** Names and versions of npm hold nothing that needs another escape. */
function purlOf({ name, version }: { readonly name: string; readonly version: string }): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** A UUID made of what is listed. */
function serialOf(lock: LockFile): string {
  const listed = lock.packages.map((each) => `${each.key} ${each.version} ${each.integrity}\n`).join("");
  const digest = new Bun.CryptoHasher("sha256").update(`${manifest.name} ${manifest.version}\n${listed}`).digest();
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x80;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  return `urn:uuid:${digest.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}`;
}

if (import.meta.main) {
  const [path] = process.argv.slice(2);
  const text = `${JSON.stringify(await billOfMaterials(await readLockFile()), null, 2)}\n`;
  if (path === undefined) process.stdout.write(text);
  else await Bun.write(path, text);
}
