/** Who subscribes to what: on each instance some to much by wildcards, most to a few tags, and some of either in JSON. */
import { Subscriber } from "./subscriber.ts";
import { groups, type World } from "./world.ts";

const tagsEach = 10;

export function crowd(world: World, each: number): Subscriber[] {
  const { random, instances, tags, liveTags } = world;
  const all = Array.from({ length: groups }, (_, i) => `k${i}/#`);
  const patternsOf = (index: number): string[] => {
    if (index === 0) return ["+/log/+", "+/live/#"];
    if (index <= 1) return all;
    if (index <= 4) return [`k${random.int(groups)}/#`, `k${random.int(groups)}/+/+`];
    return [...random.shuffle(tags).slice(0, tagsEach), random.pick(liveTags)];
  };
  return Array.from({ length: instances.count * each }, (_, i) => {
    const home = Math.floor(i / each);
    const index = i % each;
    const lane = index === 1 || index === 5 ? "json" : "msgpack";
    return new Subscriber(world, { name: `subscriber ${home}.${index}`, home, lane, patterns: patternsOf(index) });
  });
}
