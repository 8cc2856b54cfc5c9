/** Tags, patterns and grants against a reference that tries tags out. Input: lines of UTF-8, each a tag or a pattern. */
import { Grants } from "../../../src/core/grants.ts";
import { PatternTrie } from "../../../src/core/pattern-trie.ts";
import { covers, intersects, isPattern, isTag, literalPrefix, matcherOf, matches } from "../../../src/core/tag.ts";
import type { Target } from "../engine.ts";

const linesMax = 4;
/** Near the bounds of tags there are no tags to try out. */
const triedBytesMax = 100;
/** A level that no input has. */
const fresh = "\u{1f195}fresh";
const encoder = new TextEncoder();

export const patternTarget: Target = {
  name: "pattern",
  bytesMax: 700,
  words: ["/", "+", "#", "$", "/+", "/#", "+/", "#\n", "\n", "a", "\0", "${client}", "${sub}", "ü", "\u{1f195}", "//"],
  seeds: () =>
    [
      "a/b\na/+\na/#",
      "#\n+\n+/#\n/#",
      "$reply/0\n#\n$reply/#",
      "a//b\na/+/b\n/",
      "plant/${client}/x\nplant/+/x\nplant/7/x",
      "plant/${client}\n7\nplant/7",
      "${client}/x\n7\n7/x",
      `${"/".repeat(63)}\n${"+/".repeat(63)}+\n${"a/".repeat(31)}#`,
      `${"ü".repeat(127)}\n${"x".repeat(255)}\n${"x".repeat(256)}`,
    ].map((text) => encoder.encode(text)),
  open: () => ({ run }),
};

function run(input: Uint8Array): string {
  const lines = Buffer.from(input).toString("utf8").split("\n", linesMax);
  for (const line of lines) checkValidity(line);
  const patterns = lines.filter(isPattern);
  const tags = lines.filter(isTag);
  const trie = new PatternTrie<string>();
  for (const pattern of patterns) if (!isTag(pattern)) trie.add(pattern, pattern);
  const signs: string[] = lines.map((line) => `${isTag(line)}${isPattern(line)}${shapeOf(line)}`);
  for (const tag of tags) {
    for (const pattern of patterns) signs.push(checkMatch(pattern, tag));
    const found: string[] = [];
    trie.match(tag, found);
    const expected = patterns.filter((pattern) => !isTag(pattern) && refMatches(pattern, tag));
    same(`the trie for ${JSON.stringify(tag)}`, found.sort().join("\n"), [...new Set(expected)].sort().join("\n"));
  }
  for (const a of patterns) for (const b of patterns) signs.push(checkPair(a, b));
  checkGrants(lines);
  return signs.join(" ");
}

function checkValidity(line: string): void {
  const bytes = Buffer.byteLength(line);
  const levels = line.split("/");
  const plain = bytes >= 1 && bytes <= 255 && levels.length <= 64 && !line.includes("\0");
  same(`isTag ${JSON.stringify(line)}`, isTag(line), plain && !/[+#]/.test(line));
  const placed = levels.every(
    (level, i) => !/[+#]/.test(level) || level === "+" || (level === "#" && i + 1 === levels.length),
  );
  same(`isPattern ${JSON.stringify(line)}`, isPattern(line), plain && placed);
}

function checkMatch(pattern: string, tag: string): string {
  const expected = refMatches(pattern, tag);
  same(`matches ${JSON.stringify([pattern, tag])}`, matches(pattern, tag), expected);
  same(`matcherOf ${JSON.stringify([pattern, tag])}`, matcherOf(pattern)(tag), expected);
  if (expected && !tag.startsWith(literalPrefix(pattern))) throw new Error(`The prefix of ${pattern} is not of ${tag}`);
  return expected ? "m" : "-";
}

function checkPair(a: string, b: string): string {
  const found = `${covers(a, b)}${intersects(a, b)}`;
  if (Buffer.byteLength(a) > triedBytesMax || Buffer.byteLength(b) > triedBytesMax) return found;
  if (a.split("/").length > 8 || b.split("/").length > 8) return found;
  const ofA = instances(a, b);
  const ofB = instances(b, a);
  same(
    `covers ${JSON.stringify([a, b])}`,
    covers(a, b),
    ofB.every((tag) => refMatches(a, tag)),
  );
  const shared = [...ofA, ...ofB].some((tag) => refMatches(a, tag) && refMatches(b, tag));
  same(`intersects ${JSON.stringify([a, b])}`, intersects(a, b), shared);
  return found;
}

/** Tags that `pattern` matches: each wildcard as something new, and as what `other` has in its place. */
function instances(pattern: string, other: string): string[] {
  const others = other.split("/");
  let heads: string[][] = [[]];
  for (const [i, level] of pattern.split("/").entries()) {
    const theirs = others[i] === undefined || /[+#]/.test(others[i]) ? fresh : others[i];
    if (level === "+") heads = heads.flatMap((head) => [fresh, theirs, ""].map((filled) => [...head, filled]));
    else if (level === "#") {
      const rest = Array.from({ length: Math.max(others.length, i) + 2 - i }, (_, n) => n);
      heads = heads.flatMap((head) =>
        rest.flatMap((count) =>
          [true, false].map((isFresh) => [
            ...head,
            ...others.slice(i, i + count).map((name) => (isFresh || /[+#]/.test(name) ? fresh : name)),
            ...Array.from({ length: Math.max(0, count - Math.max(0, others.length - i)) }, () => fresh),
          ]),
        ),
      );
    } else heads = heads.map((head) => [...head, level]);
    if (heads.length > 2000) heads = heads.slice(0, 2000);
  }
  const tags = [...new Set(heads.map((head) => head.join("/")))];
  return tags.filter((tag) => isTag(tag) && refMatches(pattern, tag));
}

function refMatches(pattern: string, tag: string): boolean {
  if (tag.startsWith("$") && /^[+#]/.test(pattern)) return false;
  const walk = (p: readonly string[], t: readonly string[]): boolean => {
    const [level, ...more] = p;
    if (level === undefined) return t.length === 0;
    if (level === "#") return true;
    const [name, ...rest] = t;
    return name !== undefined && (level === "+" || level === name) && walk(more, rest);
  };
  return walk(pattern.split("/"), tag.split("/"));
}

/** Whoever chooses a client name cannot reach more than one level, nor the server's own tags. */
function checkGrants([template = "", client = "", tag = ""]: readonly string[]): void {
  const grants = new Grants({ [template]: ["publish"] }, {}, { client });
  // Whatever stands in a level beside a template may be anything here.
  const levels = template.replaceAll("${client}", "+").split("/");
  const widest = levels.map((level) => (level.includes("+") ? "+" : level)).join("/");
  const isOfServer = /^\$(?!\{)/.test(template);
  for (const name of [tag, template.replaceAll("${client}", client)]) {
    if (!isTag(name) || !grants.allows("publish", name)) continue;
    const isOwn = name.startsWith("$") && !isOfServer;
    // Behind another level, where a leading dollar means nothing.
    if (isOwn || !refMatches(`x/${widest}`, `x/${name}`))
      throw new Error(`${JSON.stringify({ template, client })} grants ${JSON.stringify(name)}`);
  }
}

function shapeOf(line: string): string {
  return line
    .split("/", 6)
    .map((level) => (level === "" ? "_" : /^[+#$]/.test(level) ? level[0] : "x"))
    .join("");
}

function same(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what}: ${String(found)}, not ${String(expected)}`);
}
