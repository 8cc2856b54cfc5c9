/**
 * Installs, by package name, what the tests need beside the packages of bun.lock. `bun run test` runs it before the
 * tests; it says what it does, and where all is there it says nothing and takes a fraction of a second.
 */

interface Need {
  readonly for: string;
  /** As Debian names them. */
  readonly packages: readonly string[];
  /** A command that succeeds once the packages are there. */
  readonly probe: readonly string[];
}

/** Debian's Python by its full path: another Python earlier on PATH does not see Debian's packages. */
const needs: readonly Need[] = [
  {
    for: "the Python client in examples/python",
    packages: ["python3", "python3-msgpack", "python3-websockets"],
    probe: ["/usr/bin/python3", "-c", "import msgpack, websockets"],
  },
  {
    for: "the examples of docs/http.md",
    packages: ["curl"],
    probe: ["curl", "--version"],
  },
  {
    for: "the SDK and the example pages in a browser",
    packages: ["chromium"],
    probe: ["/usr/bin/chromium", "--version"],
  },
  {
    for: "the executable for arm64",
    packages: ["qemu-user-static", "libc6-arm64-cross"],
    probe: ["qemu-aarch64-static", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1", "--version"],
  },
  {
    for: "the Dockerfile",
    packages: ["buildah", "podman", "runc"],
    probe: ["sh", "-c", "buildah --version && podman --version && runc --version"],
  },
  {
    for: "the unit in examples/systemd",
    packages: ["systemd"],
    probe: ["systemd-analyze", "--version"],
  },
  {
    for: "certificates, and clients of TLS",
    packages: ["openssl"],
    probe: ["openssl", "version"],
  },
  {
    for: "the C client in examples/firmware/c",
    packages: ["gcc", "libc6-dev", "libmbedtls-dev", "make"],
    probe: ["sh", "-c", "command -v gcc make && test -e /usr/include/stdio.h -a -e /usr/include/mbedtls/ssl.h"],
  },
  {
    for: "the broker on Redis",
    packages: ["redis-server"],
    probe: ["redis-server", "--version"],
  },
];

const missing = needs.filter((need) => !succeeds(need.probe));
if (missing.length > 0) {
  const packages = [...new Set(missing.flatMap((need) => need.packages))];
  console.log(`The tests need ${packages.join(", ")} (${missing.map((need) => need.for).join("; ")})`);
  install(packages);
  const still = needs.filter((need) => !succeeds(need.probe));
  if (still.length > 0) refuse(`Still missing after the installation: ${still.map((need) => need.for).join("; ")}`);
}

function install(packages: readonly string[]): void {
  const apt = ["apt-get", "-o", "DPkg::Lock::Timeout=120"];
  const command = [...apt, "install", "-y", "--no-install-recommends", ...packages];
  const byHand = `Install them as root and run the tests again: apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  if (Bun.which("apt-get") === null) {
    refuse(
      `There is no apt-get here; install by hand what these Debian packages hold, at the same paths: ${packages.join(", ")}`,
    );
  }
  const asRoot = rootPrefix();
  if (asRoot === null) refuse(`This user may not install packages. ${byHand}`);
  if (run([...asRoot, ...command])) return;
  console.log("The package lists may be old or absent: updating them");
  if (!run([...asRoot, ...apt, "update"]) || !run([...asRoot, ...command])) refuse(byHand);
}

/** What to put before a command so that it runs as root without a question; null: there is no way. */
function rootPrefix(): readonly string[] | null {
  const environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
  if (process.getuid?.() === 0) return environment;
  return succeeds(["sudo", "-n", "true"]) ? ["sudo", "-n", ...environment] : null;
}

function run(command: readonly string[]): boolean {
  console.log(`$ ${command.join(" ")}`);
  return Bun.spawnSync([...command], { stdin: "ignore", stdout: "inherit", stderr: "inherit" }).success;
}

/** A command that is not there does not succeed. */
function succeeds(command: readonly string[]): boolean {
  const [program = ""] = command;
  if (Bun.which(program) === null) return false;
  return Bun.spawnSync([...command], { stdin: "ignore", stdout: "ignore", stderr: "ignore" }).success;
}

function refuse(reason: string): never {
  console.error(reason);
  process.exit(1);
}
