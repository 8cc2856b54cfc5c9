/**
 * Installs the peers of the bench: Debian packages by name, and the packages of npm that bench/peers/bun.lock names, with
 * those of bench/report/bun.lock, which draw the plots. `bun run bench:setup`; it says what it does, and where all is there it takes a fraction of a second. The services
 * that Debian's packages bring are neither started nor enabled: the bench starts what it measures, on ports of its own.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { nodePath } from "./peers/node.ts";
import { findProgram } from "./peers/processes.ts";

/** Each is the name of the package, of its program and of its service. */
const servers = ["mosquitto", "nats-server", "redis-server"];
/** Each with a package.json and a bun.lock of its own. */
const folders = ["peers", "report"];

/**
 * Run as root with the names of packages. What starts services asks policy-rc.d first; where the machine has such a policy
 * of its own it stays in force. Nothing is enabled for the next start of the machine either.
 */
const installQuietly = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy" || exit 1
fi
apt="apt-get -o DPkg::Lock::Timeout=120"
install() { $apt install -y --no-install-recommends "$@" </dev/null; }
if ! install "$@"; then
  echo "The package lists may be old or absent: updating them"
  $apt update && install "$@" || exit 1
fi
if [ -d /run/systemd/system ]; then
  for service in "$@"; do systemctl disable --now "$service"; done
fi
`;

const missing = servers.filter((name) => findProgram(name) === null);
if (missing.length > 0) installServers(missing);
installPackages();
console.log("All peers of the bench are installed");

function installServers(packages: readonly string[]): void {
  const names = packages.join(", ");
  if (Bun.which("apt-get") === null) refuse(`There is no apt-get here: install ${names} by hand, on PATH`);
  const asRoot = rootPrefix();
  if (asRoot === null) refuse(`This user may not install packages. Run this as root, or install ${names} by hand`);
  console.log(`Installing Debian's ${names}, without starting their services`);
  run([...asRoot, "sh", "-c", installQuietly, "install", ...packages]);
  const still = packages.filter((name) => findProgram(name) === null);
  if (still.length > 0) refuse(`Still missing after the installation: ${still.join(", ")}`);
}

function installPackages(): void {
  if (!existsSync(nodePath))
    refuse("Node is missing, which is a development dependency of tagcast: run bun install first");
  for (const name of folders) {
    const folder = join(import.meta.dir, name);
    if (!existsSync(join(folder, "node_modules"))) console.log(`Installing the packages of bench/${name}/bun.lock`);
    run([process.execPath, "install", "--frozen-lockfile", "--no-summary", "--cwd", folder]);
  }
}

/** What to put before a command so that it runs as root without a question; null: there is no way. */
function rootPrefix(): readonly string[] | null {
  const environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
  if (process.getuid?.() === 0) return environment;
  const mayAll = Bun.which("sudo") !== null && Bun.spawnSync(["sudo", "-n", "true"], { stderr: "ignore" }).success;
  return mayAll ? ["sudo", "-n", ...environment] : null;
}

function run(command: readonly string[]): void {
  const { success } = Bun.spawnSync([...command], { stdin: "ignore", stdout: "inherit", stderr: "inherit" });
  if (!success) refuse(`It failed: ${command.filter((word) => word !== installQuietly).join(" ")}`);
}

function refuse(reason: string): never {
  console.error(reason);
  process.exit(1);
}
