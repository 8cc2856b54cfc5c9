/**
 * `bun run build [target …]`: the program as single executables that need nothing beside them, with their checksums. The
 * same sources give the same bytes.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import type { BuildFacts } from "./cli/build-facts.ts";

interface Target {
  readonly compiled: Bun.Build.CompileTarget;
  /** `e_machine` of the ELF header. */
  readonly machine: number;
  /** What the kernel loads the executable with. */
  readonly interpreter: string;
}

const x64 = 62;
const arm64 = 183;

const targets: ReadonlyMap<string, Target> = new Map([
  ["linux-x64", { compiled: "bun-linux-x64", machine: x64, interpreter: "/lib64/ld-linux-x86-64.so.2" }],
  [
    "linux-x64-baseline",
    { compiled: "bun-linux-x64-baseline", machine: x64, interpreter: "/lib64/ld-linux-x86-64.so.2" },
  ],
  ["linux-arm64", { compiled: "bun-linux-arm64", machine: arm64, interpreter: "/lib/ld-linux-aarch64.so.1" }],
  ["linux-x64-musl", { compiled: "bun-linux-x64-musl", machine: x64, interpreter: "/lib/ld-musl-x86_64.so.1" }],
  [
    "linux-x64-baseline-musl",
    { compiled: "bun-linux-x64-baseline-musl", machine: x64, interpreter: "/lib/ld-musl-x86_64.so.1" },
  ],
  ["linux-arm64-musl", { compiled: "bun-linux-arm64-musl", machine: arm64, interpreter: "/lib/ld-musl-aarch64.so.1" }],
]);

const root = join(import.meta.dir, "..");

const help = `Usage: bun run build [target …] [--out <folder>]

Compiles tagcast into single executables, <folder>/tagcast-<target>, and writes their checksums to <folder>/SHA256SUMS.
Without a target all of them; \`host\` is the one for this machine. Other machines' runtimes are fetched from npm.
The paths of what was built stand on standard output, a line each.

Targets: ${[...targets.keys()].join(", ")}

Options:
  --out <folder>  Where to put them; default: dist
  -h, --help      Show this help.`;

if (import.meta.main) process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    say(help);
    return 0;
  }
  const names: string[] = [];
  let out = join(root, "dist");
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    const name = word === "host" ? hostTarget() : word;
    if (word === "--out" && argv[i + 1] !== undefined) out = argv[++i] ?? out;
    else if (targets.has(name)) names.push(name);
    else {
      tell(`build: ${JSON.stringify(word)} is no target: there are host, ${[...targets.keys()].join(", ")}`);
      return 2;
    }
  }
  mkdirSync(out, { recursive: true });
  const source = commitOf();
  try {
    for (const name of new Set(names.length > 0 ? names : targets.keys())) {
      say(await build(name, { ...source, target: name }, out));
    }
  } catch (error) {
    tell(`build: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
  await writeChecksums(out);
  return 0;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Compiles into a folder of its own first, so that nothing half-made has the name of an executable. Answers its path. */
async function build(name: string, facts: BuildFacts, out: string): Promise<string> {
  const target = targets.get(name);
  if (target === undefined) throw new Error(`no target ${name}`);
  const beganMs = performance.now();
  const scratch = mkdtempSync(join(out, ".build-"));
  try {
    const made = join(scratch, "tagcast");
    await compile(made, target, facts);
    await check(made, target);
    chmodSync(made, 0o755);
    const path = join(out, `tagcast-${name}`);
    const size = Bun.file(made).size;
    renameSync(made, path);
    const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
    tell(`${name}: ${(size / 1e6).toFixed(0)} MB in ${seconds} s`);
    return relative(process.cwd(), path) || path;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function compile(outfile: string, { compiled }: Target, facts: BuildFacts): Promise<void> {
  try {
    await Bun.build({
      entrypoints: [join(root, "src/main.ts")],
      format: "esm",
      bytecode: true,
      // Names stay: they are in logs and stack traces, and cost nothing once there is bytecode.
      minify: { whitespace: true, syntax: true, identifiers: false },
      define: { TAGCAST_BUILD: JSON.stringify(facts), "process.env.NODE_ENV": '"production"' },
      compile: {
        target: compiled,
        outfile,
        // A file in the working directory must not decide what the server does.
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
      },
    });
  } catch (error) {
    const reasons = error instanceof AggregateError ? error.errors : [error];
    const own = process.platform === "linux" && compiled === `bun-${hostTarget()}`;
    const advice = own ? "" : "; the runtime of another machine is fetched from npm, which needs a network";
    throw new Error(`${compiled} could not be built: ${reasons.map(String).join("; ")}${advice}`, { cause: error });
  }
}

/** @throws where the file would not start on the machine that its name promises */
async function check(path: string, { machine, interpreter }: Target): Promise<void> {
  const found = elfFacts(new DataView(await Bun.file(path).slice(0, 4096).arrayBuffer()));
  if (found.machine !== machine || found.interpreter !== interpreter) {
    throw new Error(`the executable is for machine ${found.machine} and ${found.interpreter}, not for ${interpreter}`);
  }
}

/** Machine and interpreter of a 64-bit little-endian ELF file, from its first bytes (System V ABI, chapters 4 and 5). */
export function elfFacts(head: DataView): { readonly machine: number; readonly interpreter: string | null } {
  if (head.getUint32(0) !== 0x7f454c46) throw new Error("not an ELF file");
  const headers = Number(head.getBigUint64(32, true));
  const [size, count] = [head.getUint16(54, true), head.getUint16(56, true)];
  let interpreter: string | null = null;
  for (let at = headers; at < headers + size * count; at += size) {
    const isInterpreter = head.getUint32(at, true) === 3;
    if (!isInterpreter) continue;
    const offset = Number(head.getBigUint64(at + 8, true));
    const length = Number(head.getBigUint64(at + 32, true));
    interpreter = new TextDecoder().decode(new Uint8Array(head.buffer, offset, length - 1));
  }
  return { machine: head.getUint16(18, true), interpreter };
}

/** `sha256sum -c SHA256SUMS` in the folder checks all executables that are there. */
async function writeChecksums(out: string): Promise<void> {
  const names = readdirSync(out).filter((name) => name.startsWith("tagcast-"));
  const lines: string[] = [];
  for (const name of names.toSorted()) {
    const hash = new Bun.CryptoHasher("sha256");
    for await (const chunk of Bun.file(join(out, name)).stream()) hash.update(chunk);
    lines.push(`${hash.digest("hex")}  ${name}\n`);
  }
  await Bun.write(join(out, "SHA256SUMS"), lines.join(""));
}

function hostTarget(): string {
  const musl = readdirSync("/lib").some((name) => name.startsWith("ld-musl-"));
  const gnu = readdirSync("/lib").some((name) => name.startsWith("ld-linux-")) || readdirSync("/").includes("lib64");
  return `linux-${process.arch}${musl && !gnu ? "-musl" : ""}`;
}

/** What the sources are: from git, or where there is none from the variables of whoever builds. */
function commitOf(): Pick<BuildFacts, "commit" | "date"> {
  const commit = git("rev-parse", "HEAD");
  if (commit === null) {
    return { commit: process.env["TAGCAST_COMMIT"] || null, date: process.env["TAGCAST_COMMIT_DATE"] || null };
  }
  const changed = git("status", "--porcelain", "--untracked-files=no") !== "";
  const date = git("show", "-s", "--format=%ct", "HEAD");
  return {
    commit: changed ? `${commit}+changes` : commit,
    date: date === null ? null : new Date(Number(date) * 1000).toISOString(),
  };
}

/** Its output, or null where there is no git, or no repository. */
function git(...args: string[]): string | null {
  if (Bun.which("git") === null) return null;
  const { success, stdout } = Bun.spawnSync(["git", ...args], { cwd: root, stdin: "ignore", stderr: "ignore" });
  return success ? stdout.toString().trim() : null;
}
