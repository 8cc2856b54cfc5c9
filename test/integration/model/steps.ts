/** What may happen next, each with its weight. A step says what it did, for the report of a failing run. */
import type { Random } from "../../harness/random.ts";
import type { ModelClient } from "./client.ts";
import { type HistoryOptions, readPage } from "./history.ts";
import { loggedTags, patterns, type Plan, tags } from "./plan.ts";
import { ModelSubscription } from "./subscription.ts";
import type { World } from "./world.ts";

export interface Scene {
  readonly world: World;
  readonly random: Random;
  readonly plan: Plan;
  /** The clients that steps are about; the one who publishes at the end is not among them. */
  readonly clients: readonly ModelClient[];
  /** Names idempotency keys. */
  keys: number;
}

/** Bytes that make a payload large, in both forms. */
class Filling extends Uint8Array {
  toJSON(): unknown {
    return { $bin: this.toBase64() };
  }
}

/** Tags where it matters most how slow readers are treated, and patterns that cover them. */
const heavyTags = ["log/stream", "log/latest", "log/large", "live/a", "live/a/b"];
const heavyPatterns = [...heavyTags, "#", "log/#", "live/#", "+/a"];

type Step = (scene: Scene, client: ModelClient) => string | null;

const steps: readonly (readonly [weight: number, step: Step])[] = [
  [30, publish],
  [6, publishBurst],
  [3, publishToSeveral],
  [5, repeat],
  [12, subscribe],
  [4, unsubscribe],
  [5, disconnect],
  [5, stopReading],
  [7, read],
  [6, pass],
  [3, history],
  [1, editGrants],
  [1, ping],
  [2, refresh],
  [6, elsewhere],
  [3, outage],
  [16, feed],
  [26, turn],
];

const total = steps.reduce((sum, [weight]) => sum + weight, 0);

/** Takes one step; what it did, or why it did nothing. */
export function takeStep(scene: Scene): string {
  const { world, random, plan } = scene;
  // With every answer held back, nothing would get far if only some steps let go of them.
  if (plan.feed === "late") for (let i = random.int(5); i > 0; i--) world.feed();
  const client = random.pick(scene.clients);
  if (!client.online && random.chance(0.5)) return `${client.name} ${connect(scene, client)}`;
  let drawn = random.int(total);
  for (const [weight, step] of steps) {
    drawn -= weight;
    if (drawn < 0) return `${client.name} ${step(scene, client) ?? `cannot ${step.name}`}`;
  }
  return "nothing";
}

/** Connects, and takes up all subscriptions where they were; all in one frame, or one by one. */
export function connect({ world, random, plan }: Scene, client: ModelClient): string {
  // Large payloads take much longer as text.
  const lane = random.chance(plan.heavy ? 0.2 : 0.5) ? "json" : "msgpack";
  const upgrade = random.chance(0.5);
  world.connect(client, lane, upgrade);
  const wanted = [...client.subscriptions.values()];
  const enter = () => {
    if (!upgrade) client.sendConnect(random.chance(0.8));
    for (const subscription of wanted) client.subscribe(subscription, 0, random.chance(0.05));
  };
  if (random.chance(0.7)) client.inOneFrame(enter);
  else enter();
  return `connects as ${client.number} (${lane}${upgrade ? ", upgrade" : ""}): ${wanted.map(({ pattern }) => pattern)}`;
}

function payloadOf({ plan, random }: Scene): (number: number) => unknown {
  if (!plan.heavy || random.chance(0.3)) return (number) => number;
  const filling = new Filling(random.between(30, 200) * 1024);
  return (number) => [number, filling];
}

function publish(scene: Scene, client: ModelClient): string | null {
  if (!client.online) return null;
  const { random, plan } = scene;
  const tag = random.pick(plan.heavy && random.chance(0.7) ? heavyTags : tags);
  const options: { id?: string; echo?: boolean } = {};
  if (random.chance(0.15)) options.echo = random.chance(0.3);
  if (loggedTags.includes(tag) && random.chance(0.15)) options.id = `k${scene.keys++}`;
  client.publish([tag], options, payloadOf(scene));
  return `publishes ${scene.world.truth.published.length - 1} to ${tag} ${JSON.stringify(options)}`;
}

function publishBurst(scene: Scene, client: ModelClient): string | null {
  if (!client.online) return null;
  const { random } = scene;
  const count = random.between(2, scene.plan.heavy ? 20 : 8);
  const some = [random.pick(tags), random.pick(tags)];
  client.inOneFrame(() => {
    for (let i = 0; i < count; i++)
      client.publish([random.pick(some)], {}, scene.plan.heavy ? payloadOf(scene) : Number);
  });
  return `publishes ${count} up to ${scene.world.truth.published.length - 1} to ${some}`;
}

function publishToSeveral({ world, random }: Scene, client: ModelClient): string | null {
  if (!client.online) return null;
  const several = random.shuffle(tags).slice(0, random.between(2, 4));
  client.publish(several, {}, Number);
  return `publishes ${world.truth.published.length - 1} to ${several}`;
}

function repeat({ random }: Scene, client: ModelClient): string | null {
  if (!client.online || client.keyed.length === 0) return null;
  const keyed = random.pick(client.keyed);
  client.repeat(keyed);
  return `repeats ${keyed.number} to ${keyed.tag}`;
}

function subscribe({ world, random, plan }: Scene, client: ModelClient): string | null {
  const pattern = random.pick(plan.heavy && random.chance(0.7) ? heavyPatterns : patterns);
  if (!client.online || client.subscriptions.has(pattern)) return null;
  const last = random.chance(0.3) ? random.between(1, 6) : 0;
  client.subscribe(new ModelSubscription(world.truth, pattern), last, true);
  return `subscribes to ${pattern}, last ${last}`;
}

function unsubscribe({ random }: Scene, client: ModelClient): string | null {
  const some = [...client.subscriptions.values()].filter(({ state }) => state === "active" || state === "asked");
  if (!client.online || some.length === 0) return null;
  const subscription = random.pick(some);
  client.unsubscribe(subscription);
  return `unsubscribes from ${subscription.pattern}`;
}

function disconnect({ random }: Scene, client: ModelClient): string | null {
  const { connection } = client;
  if (connection === null) return null;
  // What was on the way arrives in part, or not at all.
  if (random.chance(0.5)) connection.read(random.between(1, 3));
  connection.drop();
  return "disconnects";
}

function stopReading({ plan }: Scene, client: ModelClient): string | null {
  if (client.connection === null || (plan.heavy && client.name === "c0")) return null;
  client.connection.stopReading();
  return "stops reading";
}

function read({ random, plan }: Scene, client: ModelClient): string | null {
  if (client.connection === null || client.connection.reading || (plan.heavy && random.chance(0.6))) return null;
  const frames = random.chance(0.5) ? Infinity : random.between(1, 6);
  client.connection.read(frames);
  return `reads ${frames} frames`;
}

function pass({ world, random }: Scene): string {
  const ms = random.chance(0.03) ? 31_000 : random.between(50, 1200);
  world.clock.advance(ms);
  return `and ${ms} ms pass`;
}

function history({ world, random }: Scene, client: ModelClient): string | null {
  if (!client.online) return null;
  const tag = random.pick(loggedTags);
  const known = [...client.subscriptions.values()].flatMap((subscription) => subscription.position(tag) ?? []);
  const options: HistoryOptions = random.pick([
    { last: random.between(1, 5) },
    { limit: random.between(1, 5) },
    known.length > 1 ? { since: [known[0]!, known[1]!] as const } : {},
  ]);
  readPage(client, world.truth, tag, options);
  return `reads the history of ${tag} ${JSON.stringify(options)}`;
}

function editGrants({ world, random }: Scene, client: ModelClient): string {
  const pattern = random.chance(0.5) ? null : random.pick(patterns);
  world.authenticator.edit(client.name, pattern);
  return `may not subscribe to ${pattern}`;
}

function ping(_: Scene, client: ModelClient): string | null {
  if (!client.online) return null;
  client.ping();
  return "pings";
}

/** What is sent right behind a credential, and behind another one, is taken in its order. */
function refresh({ world, random }: Scene, client: ModelClient): string | null {
  if (!client.online) return null;
  const tag = random.pick(tags);
  const send = () => {
    client.refresh();
    client.publish([tag], {}, Number);
    if (random.chance(0.5)) client.refresh();
    client.publish([tag], {}, Number);
  };
  if (random.chance(0.5)) client.inOneFrame(send);
  else send();
  client.publish([tag], {}, Number);
  return `refreshes and publishes up to ${world.truth.published.length - 1} to ${tag}`;
}

/** Another instance publishes. */
function elsewhere({ world, random, plan }: Scene): string | null {
  if (plan.feed === "prompt") return null;
  const tag = random.pick(tags);
  return `and ${world.publishElsewhere(tag)} is published to ${tag} elsewhere`;
}

/** The broker goes away, or comes back. */
function outage({ world, plan }: Scene): string | null {
  if (!plan.outages) return null;
  return `and the broker ${world.toggleOutage()}`;
}

function feed({ world, random }: Scene): string {
  const count = random.between(1, 5);
  for (let i = 0; i < count; i++) world.feed();
  return `and the feed goes on by ${count}`;
}

function turn({ world }: Scene): string {
  world.turn();
  return "and the turn ends";
}
