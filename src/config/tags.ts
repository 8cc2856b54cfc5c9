/** `[[tags]]` → tag rules. */
import { covers } from "../core/tag.ts";
import type { Delivery, HistoryRule, TagRule } from "../core/tag-rule.ts";
import type { ProblemList } from "./problems.ts";
import { historyFields, type Place, readEntries, readTable, tagFields } from "./sections.ts";
import type { Value } from "./values.ts";

/** The rules in order, without those that have a problem. */
export function readTags(raw: unknown, place: Place, problems: ProblemList): TagRule[] {
  const rules: TagRule[] = [];
  for (const [entry, at] of readEntries(raw, place, problems)) {
    const rule = readRule(entry, at, problems);
    if (rule === null) continue;
    const earlier = rules.find((candidate) => covers(candidate.pattern, rule.pattern));
    if (earlier !== undefined) {
      const reason = `the earlier rule for ${JSON.stringify(earlier.pattern)} matches every tag of ${JSON.stringify(rule.pattern)}`;
      problems.add(`${at.path} pattern`, at.origin, `never applies: ${reason}`);
    }
    rules.push(rule);
  }
  return rules;
}

function readRule(raw: unknown, at: Place, problems: ProblemList): TagRule | null {
  const values = readTable(raw, tagFields, at, problems);
  if (values === null) return null;
  const retain = values["retain"] === true;
  const bounds = values["history"] === undefined ? undefined : readHistory(values["history"], at, problems);
  if (bounds === null) return null;
  const history = bounds ?? (retain ? { size: 1 } : null);
  const delivery = (values["delivery"] ?? (history === null ? "stream" : "reliable")) as Delivery;
  if (delivery !== "stream" && history === null) {
    problems.add(
      `${at.path} delivery`,
      at.origin,
      `${JSON.stringify(delivery)} needs a log: give history or retain = true`,
    );
    return null;
  }
  return {
    pattern: values["pattern"] as string,
    history,
    retain,
    presence: values["presence"] === true,
    delivery,
    local: values["local"] === true,
  };
}

function readHistory(raw: Value, at: Place, problems: ProblemList): HistoryRule | null {
  const values = readTable(raw, historyFields, { ...at, path: `${at.path} history` }, problems);
  if (values === null) return null;
  return {
    size: values["size"] as number,
    ...(values["ttl"] === undefined ? {} : { ttlMs: values["ttl"] as number }),
    ...(values["bytes"] === undefined ? {} : { bytes: values["bytes"] as number }),
  };
}
