/**
 * Tags and patterns: what is valid, what matches, what covers what. Pure functions over strings; MQTT's wildcards
 * (OASIS MQTT 5.0 §4.7): `+` stands for one level, `#` (last level only) for the rest, including none.
 * A wildcard in the first level never matches a tag that begins with `$`.
 */
import { errors } from "./codes.ts";
import { ProtocolError } from "./errors.ts";

export const tagBytesMax = 255;
/** Levels a tag or pattern may have: bounds the depth of the pattern trie. */
export const tagLevelsMax = 64;

const encoder = new TextEncoder();
const scratch = new Uint8Array(tagBytesMax + 3);

/** Whether `text` takes 1–255 bytes of UTF-8, has no NUL and at most 64 levels, and is well-formed Unicode. */
function isLevelText(text: string): boolean {
  if (text.length === 0 || text.length > tagBytesMax || !text.isWellFormed()) return false;
  const { read, written } = encoder.encodeInto(text, scratch);
  if (read < text.length || written > tagBytesMax) return false;
  let levels = 1;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0) return false;
    if (unit === 47 && ++levels > tagLevelsMax) return false;
  }
  return true;
}

/** Whether `text` may be published to: 1–255 bytes, no NUL, no `+` or `#`, at most 64 levels. */
export function isTag(text: string): boolean {
  return isLevelText(text) && !text.includes("+") && !text.includes("#");
}

/** Whether `text` may be subscribed to: a tag, or with `+` alone in a level and `#` alone in the last. */
export function isPattern(text: string): boolean {
  if (!isLevelText(text)) return false;
  if (!hasWildcard(text)) return true;
  const levels = text.split("/");
  return levels.every((level, i) => level === "+" || (level === "#" && i === levels.length - 1) || !hasWildcard(level));
}

export function hasWildcard(pattern: string): boolean {
  return pattern.includes("+") || pattern.includes("#");
}

/** What every tag that a valid `pattern` matches begins with: a cheap test before `matches`. */
export function literalPrefix(pattern: string): string {
  const wildcard = pattern.search(/[+#]/);
  // "a/#" matches "a" too, so the slash before the wildcard does not count.
  return wildcard < 0 ? pattern : pattern.slice(0, Math.max(0, wildcard - 1));
}

export function firstLevel(pattern: string): string {
  const slash = pattern.indexOf("/");
  return slash < 0 ? pattern : pattern.slice(0, slash);
}

/** Tags that begin with `$` belong to the server. */
export function isSystemTag(tag: string): boolean {
  return tag.charCodeAt(0) === 36;
}

/** @throws ProtocolError `invalidTag` */
export function assertTag(tag: string): void {
  if (!isTag(tag)) throw new ProtocolError(errors.invalidTag);
}

/** @throws ProtocolError `invalidPattern` */
export function assertPattern(pattern: string): void {
  if (!isPattern(pattern)) throw new ProtocolError(errors.invalidPattern);
}

/** Whether a valid `pattern` matches a valid `tag`. */
export function matches(pattern: string, tag: string): boolean {
  if (!hasWildcard(pattern)) return pattern === tag;
  return covers(pattern, tag);
}

/** `matches` for one valid pattern and very many tags: dearer to make, a tenth of the cost to ask. */
export function matcherOf(pattern: string): (tag: string) => boolean {
  if (!hasWildcard(pattern)) return (tag) => tag === pattern;
  const levels = pattern.split("/").map((level, i) => {
    if (level === "#") return i === 0 ? ".*" : "(?:/.*)?";
    return (i === 0 ? "" : "/") + (level === "+" ? "[^/]*" : RegExp.escape(level));
  });
  const whole = new RegExp(`^${isWild(pattern.split("/", 1)[0]) ? "(?!\\$)" : ""}${levels.join("")}$`, "s");
  return (tag) => whole.test(tag);
}

/**
 * Whether every tag that `inner` matches is matched by `outer` too. Both are valid patterns; a tag is a pattern that
 * matches itself alone.
 */
export function covers(outer: string, inner: string): boolean {
  if (outer === inner) return true;
  const o = levelsOf(outer);
  const n = levelsOf(inner);
  if (isSystemTag(inner) && isWild(o[0])) return false;
  for (let i = 0; i < o.length; i++) {
    if (o[i] === "#") return true;
    if (i >= n.length || n[i] === "#") return false;
    if (o[i] !== "+" && o[i] !== n[i]) return false;
  }
  return o.length === n.length;
}

/** Whether some tag is matched by both patterns. */
export function intersects(a: string, b: string): boolean {
  const x = levelsOf(a);
  const y = levelsOf(b);
  if ((isSystemTag(a) && isWild(y[0])) || (isSystemTag(b) && isWild(x[0]))) return false;
  for (let i = 0; ; i++) {
    if (x[i] === "#" || y[i] === "#") return true;
    if (i >= x.length || i >= y.length) return x.length === y.length;
    if (x[i] !== "+" && y[i] !== "+" && x[i] !== y[i]) return false;
  }
}

/** Levels of a pattern. No tag is empty, so `#` matches exactly what `+/#` does, and `/#` what `/+/#` does. */
function levelsOf(pattern: string): string[] {
  if (pattern === "#") return ["+", "#"];
  return pattern === "/#" ? ["", "+", "#"] : pattern.split("/");
}

function isWild(level: string | undefined): boolean {
  return level === "+" || level === "#";
}
