/**
 * `bun run audit`: known vulnerabilities of the locked packages, as the registry tells them. Exits 1 where there are some.
 * Where the registry does not answer it says `skipped` and why, and exits 0.
 */
import { root } from "../harness/source-tree.ts";

interface Advisory {
  readonly severity: string;
  readonly title: string;
  readonly url: string;
  readonly vulnerable_versions: string;
}

export interface Audit {
  readonly status: 0 | 1;
  readonly lines: readonly string[];
}

/** `env` beside that of this process. */
export async function audit(env: Readonly<Record<string, string>> = {}): Promise<Audit> {
  const child = Bun.spawn([process.execPath, "audit", "--json"], {
    cwd: root,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const advisories = parse(out);
  if (advisories === null) {
    const reason = err.match(/^error: (.+)$/m)?.[1] ?? `bun audit ended with ${child.exitCode}`;
    return { status: 0, lines: [`skipped: ${reason}`] };
  }
  const lines = Object.entries(advisories).flatMap(([name, list]) =>
    list.map(({ severity, title, url, vulnerable_versions: versions }) => {
      return `${severity}: ${name} ${versions}: ${title} (${url})`;
    }),
  );
  if (lines.length === 0) return { status: 0, lines: ["no known vulnerabilities"] };
  return { status: 1, lines };
}

/** Null where the registry gave no answer that can be trusted. */
function parse(text: string): Readonly<Record<string, readonly Advisory[]>> | null {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json !== "object" || json === null || !Object.values(json).every(Array.isArray)) return null;
    return json as Readonly<Record<string, readonly Advisory[]>>;
  } catch {
    return null;
  }
}

if (import.meta.main) {
  const { status, lines } = await audit();
  for (const line of lines) console.log(`audit: ${line}`);
  process.exit(status);
}
