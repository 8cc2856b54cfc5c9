/**
 * `bun run firmware:size`: what the C client takes of a Cortex-M0+ and a Cortex-M4, as the table in its README. The
 * cross compiler is large (800 MB), so no test needs it.
 */
import { join } from "node:path";
import { clientFolder } from "../harness/firmware.ts";
import { scratchDirectory } from "../harness/server.ts";

const packages = ["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"];
const cores = { "Cortex-M0+": "cortex-m0plus", "Cortex-M4": "cortex-m4" } as const;

/** A firmware that calls each operation; `config` and `seed` are left open. */
const firmware = `
#include "tagcast.h"
tagcast_client client;
tagcast_subscription subscription;
extern const tagcast_config config;
extern const uint32_t seed[4];
volatile int sink;
int main(void) {
  uint8_t bytes[32];
  tagcast_event event;
  tagcast_writer writer = {bytes, sizeof bytes, 0};
  tagcast_value value;
  tagcast_reader reader;
  sink = tagcast_init(&client, &config, seed);
  tagcast_start(&client);
  subscription.pattern = "a/b";
  sink = tagcast_subscribe(&client, &subscription);
  for (;;) {
    while (tagcast_poll(&client, &event)) {
      reader.bytes = event.payload.bytes;
      reader.size = event.payload.size;
      sink = tagcast_read(&reader, &value);
      sink = tagcast_is(&value, "x");
      sink = tagcast_skip(&reader);
    }
    tagcast_write_map(&writer, 1);
    tagcast_write_str(&writer, "t", 1);
    tagcast_write_int(&writer, sink);
    tagcast_write_float(&writer, 1.5f);
    sink = tagcast_publish(&client, "a", bytes, writer.used);
    sink = tagcast_send(&client, "a", bytes, writer.used);
    sink = tagcast_ping(&client);
    sink = tagcast_unsubscribe(&client, &subscription);
    tagcast_stop(&client);
  }
}
`;

function run(command: readonly string[]): string {
  const { success, stdout, stderr } = Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe" });
  if (!success) throw new Error(`${command.join(" ")}\n${stderr.toString()}`);
  return stdout.toString();
}

/** Code and constants of a file. */
function flashOf(file: string): number {
  return Number(run(["arm-none-eabi-size", file]).split("\n")[1]?.trim().split(/\s+/)[0]);
}

function symbolSize(file: string, name: string): number {
  const line = run(["arm-none-eabi-nm", "-S", file])
    .split("\n")
    .find((text) => text.endsWith(` ${name}`));
  return Number.parseInt(line?.split(" ")[1] ?? "", 16);
}

/** The deepest chain of calls from tagcast_poll, without the transport and the C library, by GCC's call graph. */
function stackOf(graph: string): number {
  const frames = new Map<string, number>();
  const calls = new Map<string, string[]>();
  for (const [, name = "", bytes] of graph.matchAll(/^node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes/gm))
    frames.set(name, Number(bytes));
  for (const [, from = "", to = ""] of graph.matchAll(/^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"/gm))
    calls.set(from, [...(calls.get(from) ?? []), to]);
  const deepest = (name: string): number =>
    (frames.get(name) ?? 0) + Math.max(0, ...(calls.get(name) ?? []).map(deepest));
  return deepest("tagcast_poll");
}

function measure(folder: string, core: string) {
  const at = (name: string) => join(folder, name);
  const common = ["arm-none-eabi-gcc", "-std=c99", "-Os", "-mthumb", `-mcpu=${core}`, `-I${clientFolder}`];
  const client = join(clientFolder, "tagcast.c");
  const sections = ["-ffunction-sections", "-fdata-sections"];
  const linked = (out: string, cLibrary: readonly string[]) => {
    const linking = ["-Wl,--gc-sections,-e,main,--unresolved-symbols=ignore-all"];
    run([...common, ...sections, ...cLibrary, ...linking, "-o", at(out), client, at("firmware.c")]);
    return flashOf(at(out)) - flashOf(at("firmware.o"));
  };
  run([...common, "-c", "-o", at("firmware.o"), at("firmware.c")]);
  run([...common, "-c", "-fcallgraph-info=su", "-o", at("client.o"), client]);
  const flash = linked("alone", ["-nostdlib"]);
  return {
    flash,
    library: linked("whole", ["--specs=nano.specs", "-nostartfiles"]) - flash,
    ram: symbolSize(at("alone"), "client"),
    subscription: symbolSize(at("alone"), "subscription"),
    graph: at("client.ci"),
  };
}

if (Bun.which("arm-none-eabi-gcc") === null) {
  console.error(
    `There is no arm-none-eabi-gcc. As root: apt-get install -y --no-install-recommends ${packages.join(" ")}`,
  );
  process.exit(1);
}
using scratch = scratchDirectory();
await Bun.write(join(scratch.path, "firmware.c"), firmware);
const rows: string[] = [];
for (const [name, core] of Object.entries(cores)) {
  const { flash, library, ram, subscription, graph } = measure(scratch.path, core);
  const stack = stackOf(await Bun.file(graph).text());
  rows.push(`| ${name} | ${flash} | ${library} | ${ram} | ${subscription} | ${stack} |`);
}
const table = [
  "| | flash: the client | of the C library | RAM: the client | each subscription | stack |",
  "|---|---|---|---|---|---|",
  ...rows,
].join("\n");
const readme = join(clientFolder, "README.md");
const text = await Bun.file(readme).text();
const marked = /(<!-- bun run firmware:size -->\n)[\s\S]*?(<!-- end -->)/;
if (!marked.test(text)) throw new Error(`No place for the table in ${readme}`);
await Bun.write(readme, text.replace(marked, `$1${table}\n$2`));
console.log(table);
