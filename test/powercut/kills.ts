/**
 * A server with a store is killed again and again while it is published to: at any moment, also while it trims and while it
 * starts. At the end, and now and then between, every log is read: all that was acknowledged is there, once, where it was said to be.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkStore } from "../../src/broker/sqlite/tool.ts";
import { op } from "../../src/wire/messages.ts";
import { createRandom, type Random } from "../harness/random.ts";
import { Program, scratchDirectory, type ServerProcess, startProcess } from "../harness/server.ts";
import { WireClient } from "../harness/wire-client.ts";
import { AckLedger, type Read } from "./ledger.ts";
import { Publisher } from "./publisher.ts";

export interface KillPlan {
  readonly kills: number;
  readonly random: Random;
  /** Of all logs: less than is published makes logs lose their oldest messages to others. */
  readonly logsBytesMax: string;
  /** Kills between two readings of everything. */
  readonly readEvery: number;
  readonly publishers: number;
  readonly say: (line: string) => void;
  /** Milliseconds of the monotonic clock at which to end, however many kills were left. */
  readonly untilMs: number;
}

export interface KillOutcome {
  readonly kills: number;
  /** Before the server listened. */
  readonly killsAtStart: number;
  readonly acknowledged: number;
  readonly repeated: number;
  readonly violations: readonly string[];
}

const token = "admin-token-for-kills";
/** Longer than a start takes on a quiet machine, and on the busiest. */
const startMs = 600;
const startLimitMs = 30_000;
/** How long a server is published to before it is killed. */
const loadMs = 400;

/** Logs that keep all, and that are trimmed all the time by number, by bytes, and to the last message. */
const families = [
  { prefix: "all", tags: 4, size: 1_000_000, history: "{ size = 1000000 }" },
  { prefix: "few", tags: 12, size: 20, history: "{ size = 20 }" },
  { prefix: "bytes", tags: 6, size: 1, history: '{ size = 1000000, bytes = "16KiB" }' },
  { prefix: "last", tags: 6, size: 1, history: "{ size = 1 }" },
] as const;
const rules = families.map(({ prefix, history }) => `[[tags]]\npattern = "${prefix}/#"\nhistory = ${history}\n`);
const logs = families.flatMap(({ prefix, tags, size }) =>
  Array.from({ length: tags }, (_, i) => ({ tag: `${prefix}/${i}`, size })),
);

export async function runKills(plan: KillPlan): Promise<KillOutcome> {
  const { kills, random, readEvery, say, untilMs } = plan;
  using directory = scratchDirectory();
  const store = join(directory.path, "store.db");
  const config = join(directory.path, "tagcast.toml");
  writeFileSync(config, `store = "store.db"\nlogs-bytes-max = "${plan.logsBytesMax}"\n${rules.join("")}`);
  const args = ["--config", config, "--admin-token", token];
  const ledger = new AckLedger();
  const crowd = crowdOf(plan, ledger);
  const counts = { kills: 0, killsAtStart: 0 };
  while (counts.kills < kills && performance.now() < untilMs && ledger.violations.length === 0) {
    if (random.chance(0.2)) {
      await using starting = new Program({ args: ["serve", "--port", "0", ...args] });
      await Bun.sleep(random.int(startMs));
      starting.signal("SIGKILL");
      counts.killsAtStart++;
    } else {
      await using server = await startProcess({ args }, startLimitMs);
      const published = crowd.map((publisher) => publisher.run(server.url, token, new AbortController().signal));
      await Bun.sleep(10 + random.int(loadMs));
      if (counts.kills % readEvery === readEvery - 1) await readAll(server, ledger, plan);
      server.signal("SIGKILL");
      await Promise.all(published);
    }
    counts.kills++;
    if (counts.kills % 25 === 0) say(`${counts.kills} kills, ${ledger.acknowledged} acknowledged`);
  }
  await finish(args, crowd, ledger, plan);
  checkFile(store, ledger);
  return { ...counts, acknowledged: ledger.acknowledged, repeated: ledger.repeated, violations: ledger.violations };
}

function crowdOf({ publishers, random }: KillPlan, ledger: AckLedger): readonly Publisher[] {
  const tags = logs.map(({ tag }) => tag);
  return Array.from(
    { length: publishers },
    (_, i) => new Publisher({ name: `p${i}`, tags, ledger, random: createRandom(random.int(2 ** 31)) }),
  );
}

/** Everything is published to its end, read, and the server stopped in order. */
async function finish(
  args: readonly string[],
  crowd: readonly Publisher[],
  ledger: AckLedger,
  plan: KillPlan,
): Promise<void> {
  await using server = await startProcess({ args }, startLimitMs);
  await Promise.all(crowd.map((publisher) => publisher.run(server.url, token, AbortSignal.abort())));
  if (crowd.some((publisher) => !publisher.isDrained))
    ledger.violations.push("the last publishes were not acknowledged");
  await readAll(server, ledger, plan);
  server.signal("SIGTERM");
  if ((await server.end(20_000)) !== 0) ledger.violations.push(`the server did not stop in order: ${server.stderr}`);
}

async function readAll(server: ServerProcess, ledger: AckLedger, { logsBytesMax }: KillPlan): Promise<void> {
  await using client = await WireClient.open(server.url, { token });
  const isTight = !logsBytesMax.endsWith("GiB");
  for (const { tag, size } of logs) await readOne(client, ledger, tag, isTight ? 0 : size);
}

/** Reads a log that may be published to meanwhile. */
async function readOne(client: WireClient, ledger: AckLedger, tag: string, size: number): Promise<void> {
  const messages: Read[] = [];
  let since: readonly [number, number] | null = null;
  for (;;) {
    const acknowledged = ledger.topOf(tag);
    const page = await client.ok(op.history, tag, { limit: 1000, ...(since && { since }) });
    const { position, messages: some, more } = page as unknown as Page;
    // What was trimmed between two pages is no hole.
    if (some[0] !== undefined && messages.length > 0 && some[0][0] !== messages.at(-1)!.offset + 1) messages.length = 0;
    for (const [offset, payload] of some) messages.push({ offset, key: payload.slice(0, payload.indexOf(" ")) });
    since = [position[0], messages.at(-1)?.offset ?? position[1]];
    const [epoch, top] = position;
    if (!more) return ledger.compare(tag, { epoch, top, messages, size, acknowledged });
  }
}

interface Page {
  readonly position: readonly [number, number];
  readonly messages: readonly (readonly [offset: number, payload: string])[];
  readonly more: boolean;
}

function checkFile(store: string, ledger: AckLedger): void {
  const { problems, isStopped } = checkStore(store);
  ledger.violations.push(...problems);
  if (!isStopped) ledger.violations.push("the store does not know that it was stopped");
}
