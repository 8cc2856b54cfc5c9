/** The packages of `bun.lock`, and which of them each one gets. */
import { join } from "node:path";
import { root } from "../harness/source-tree.ts";

type Ranges = Readonly<Record<string, string>>;

/** What a package asks for, as the lock file has it. */
interface Asked {
  readonly dependencies?: Ranges;
  readonly devDependencies?: Ranges;
  readonly optionalDependencies?: Ranges;
  readonly peerDependencies?: Ranges;
  readonly optionalPeers?: readonly string[];
  readonly os?: unknown;
  readonly cpu?: unknown;
}

export interface LockedPackage {
  /** Its place: `a`, or `b/a` for the copy of `a` that only `b` sees. */
  readonly key: string;
  readonly name: string;
  readonly version: string;
  /** As in Subresource Integrity: `sha512-…`. */
  readonly integrity: string;
  readonly asked: Asked;
  /** Whether it is installed on some machines only. */
  readonly platform: boolean;
}

export class LockFile {
  /** In the order of their keys. */
  readonly packages: readonly LockedPackage[];
  readonly #byKey: ReadonlyMap<string, LockedPackage>;
  readonly #top: Asked;

  constructor(text: string) {
    const { workspaces, packages } = Bun.JSONC.parse(text) as {
      workspaces: Readonly<Record<string, Asked>>;
      packages: Readonly<Record<string, readonly unknown[]>>;
    };
    this.#top = workspaces[""] ?? {};
    this.packages = Object.entries(packages)
      .map(([key, entry]) => lockedOf(key, entry))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
    this.#byKey = new Map(this.packages.map((each) => [each.key, each]));
  }

  /** What the project itself uses; `development` counts what only tests and tools need. */
  direct(development: boolean): readonly LockedPackage[] {
    const { dependencies, devDependencies } = this.#top;
    return this.#resolve("", { dependencies: { ...dependencies, ...(development && devDependencies) } });
  }

  /** What a package uses, of which optional parts may be missing. */
  uses({ key, asked }: LockedPackage): readonly LockedPackage[] {
    return this.#resolve(key, asked);
  }

  #resolve(from: string, { dependencies, optionalDependencies, peerDependencies }: Asked): LockedPackage[] {
    const names = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
    const found = names.map((name) => this.#find(from, name)).filter((each) => each !== undefined);
    return [...new Set(found)].toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The nearest one, as `node_modules` are searched. */
  #find(from: string, name: string): LockedPackage | undefined {
    for (let names = namesIn(from); names.length > 0; names = names.slice(0, -1)) {
      const found = this.#byKey.get([...names, name].join("/"));
      if (found !== undefined) return found;
    }
    return this.#byKey.get(name);
  }
}

export async function readLockFile(): Promise<LockFile> {
  return new LockFile(await Bun.file(join(root, "bun.lock")).text());
}

/** Where a package is installed. */
export function folderOf({ key }: LockedPackage): string {
  return join(root, ...namesIn(key).flatMap((name) => ["node_modules", name]));
}

function lockedOf(key: string, entry: readonly unknown[]): LockedPackage {
  const [spec, , asked, integrity] = entry as readonly [string, string, Asked, string];
  const at = spec.lastIndexOf("@");
  if (typeof integrity !== "string" || at <= 0) throw new Error(`bun.lock: ${key} is not from a registry`);
  const platform = asked.os !== undefined || asked.cpu !== undefined;
  return { key, name: spec.slice(0, at), version: spec.slice(at + 1), integrity, asked, platform };
}

/** `@a/b/c` → `@a/b`, `c` */
function namesIn(key: string): string[] {
  return key.match(/@[^/]+\/[^/]+|[^/]+/g) ?? [];
}
