/** Finds out which masters of a Redis Cluster hold the slot keys, by what each says of itself. */
import type { ClusterNode } from "./node.ts";
import { holderOf, type Range, slotCount } from "./topology.ts";

/** How often servers that turn up are asked in turn. */
const roundsMax = 4;

export interface Surveyed {
  /** The nodes, with those that were opened. */
  readonly nodes: ReadonlyMap<string, ClusterNode>;
  /** The holder of each slot key; null: nobody says that it is. */
  readonly owners: readonly (ClusterNode | null)[];
}

export interface SurveyParts {
  /** Nodes that are connected, by id. */
  readonly nodes: ReadonlyMap<string, ClusterNode>;
  /** What is known of the servers, where no nodes are connected yet. */
  readonly ranges: readonly Range[];
  /** The holders so far: where two say that they hold a slot key, it has moved to the other one. */
  readonly before: readonly (ClusterNode | null)[];
  readonly open: (host: string, port: number) => Promise<ClusterNode>;
}

/** A server's view of itself is the only one that is never late for what it has. @throws Error where one does not answer */
export async function survey(parts: SurveyParts): Promise<Surveyed> {
  const nodes = new Map(parts.nodes);
  try {
    return { nodes, owners: await ownersOf(nodes, parts) };
  } catch (error) {
    for (const [id, node] of nodes) if (!parts.nodes.has(id)) node.destroy();
    throw error;
  }
}

/** Adds to `nodes` those that turn up. */
async function ownersOf(
  nodes: Map<string, ClusterNode>,
  { ranges, before, open }: SurveyParts,
): Promise<Surveyed["owners"]> {
  const views = new Map<ClusterNode, readonly Range[]>();
  const tried = new Set<string>();
  let owners: (ClusterNode | null)[] = [];
  for (let round = 0; round < roundsMax; round++) {
    const fresh = [...nodes.values()].filter((node) => !views.has(node));
    const answers = await Promise.all(fresh.map((node) => node.ranges()));
    for (const [i, node] of fresh.entries()) views.set(node, answers[i] as Range[]);
    owners = Array.from({ length: slotCount }, (_, index) => ownerOf(index, views, before[index] ?? null));
    const wanted = new Map<string, Range>();
    for (const [index, owner] of owners.entries()) {
      if (owner !== null) continue;
      for (const view of [ranges, ...views.values()]) {
        const holder = holderOf(view, index);
        if (holder !== null && !nodes.has(holder.id) && !tried.has(holder.id)) wanted.set(holder.id, holder);
      }
    }
    if (wanted.size === 0) break;
    for (const id of wanted.keys()) tried.add(id);
    const opened = await Promise.allSettled([...wanted.values()].map(({ host, port }) => open(host, port)));
    for (const one of opened) if (one.status === "fulfilled") nodes.set(one.value.id, one.value);
  }
  return owners;
}

function ownerOf(
  index: number,
  views: ReadonlyMap<ClusterNode, readonly Range[]>,
  before: ClusterNode | null,
): ClusterNode | null {
  let owner: ClusterNode | null = null;
  for (const [node, view] of views) {
    if (holderOf(view, index)?.id === node.id && (owner === null || node !== before)) owner = node;
  }
  return owner;
}
