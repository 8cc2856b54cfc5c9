/** Which instances there are: each tells of itself every second what operators want to know, and reads what the others do. */
import { z } from "zod";
import type { InstanceFigures, InstanceView } from "../../../core/shared.ts";
import { ByteWriter } from "../../../lib/byte-writer.ts";
import type { Calls } from "../calls.ts";
import { scripts } from "../scripts.ts";

/** What is kept of an instance that nothing is heard of; its lease is over much sooner. */
export const keptMs = 60_000;

const rate = z.number().min(0).catch(0);
const viewSchema = z.object({
  instance: z.string(),
  host: z.string().catch(""),
  port: z.int().catch(0),
  version: z.string().catch(""),
  roles: z.array(z.string()).catch([]),
  startedAtMs: z.number().catch(0),
  connections: z.int().catch(0),
  messagesPerSecond: rate,
  deliveriesPerSecond: rate,
  cpu: rate,
});

export class Roster {
  readonly #calls: Calls;
  readonly #writer = new ByteWriter();
  /** The others and this one, as last read. */
  #views: readonly InstanceView[] = [];

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  get views(): readonly InstanceView[] {
    return this.#views;
  }

  /** Tells of this instance, if `figures` is given, and reads what all tell. */
  async read(own: { instance: string; incarnation: string; figures: InstanceFigures } | null): Promise<void> {
    const calls = this.#calls;
    calls.begin(this.#writer);
    const told = own === null ? "" : JSON.stringify({ instance: own.instance, ...own.figures });
    const args = [own?.incarnation ?? "", told, String(keptMs)];
    const reply = await calls.send(scripts.roster, "all", this.#writer, args);
    this.#views = viewsOf(reply as unknown[]);
  }
}

function viewsOf(reply: readonly unknown[]): InstanceView[] {
  const views = new Map<string, InstanceView>();
  for (let i = 0; i < reply.length; i += 2) {
    const view = viewSchema.safeParse(JSON.parse(String(reply[i])));
    if (!view.success) continue;
    const heardMs = Number(reply[i + 1]);
    const known = views.get(view.data.instance);
    // Of one that has just taken another incarnation both are there.
    if (known === undefined || known.heardMs > heardMs) views.set(view.data.instance, { ...view.data, heardMs });
  }
  return [...views.values()];
}
