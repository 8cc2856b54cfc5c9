/** Which operations a token allows on which patterns. Deny beats allow; a wildcard must be covered wholly. */
import { covers, intersects, isPattern, isSystemTag, matches } from "./tag.ts";

export const operations = ["subscribe", "publish", "history", "presence", "admin"] as const;
export type Operation = (typeof operations)[number];

/** Pattern (with templates) → operations. `read` stands for subscribe, history and presence, `readwrite` for these and publish. */
export type GrantMap = Readonly<Record<string, readonly (Operation | "read" | "readwrite")[]>>;

/** Values that templates take, from the credential alone. */
export interface TemplateValues {
  readonly client?: string | null;
  readonly sub?: string | null;
}

/** Every operation on `#`, which no `$` tag belongs to. */
export const allGrants: GrantMap = { "#": ["readwrite", "admin"] };

interface Grant {
  /** Null: every tag, also those of the server that no wildcard matches. */
  readonly pattern: string | null;
  readonly operations: ReadonlySet<Operation>;
}

const shorthands: ReadonlyMap<string, readonly Operation[]> = new Map([
  ["read", ["subscribe", "history", "presence"]],
  ["readwrite", ["subscribe", "history", "presence", "publish"]],
]);

/** Immutable, compiled once per credential. */
export class Grants {
  readonly #allow: readonly Grant[];
  readonly #deny: readonly Grant[];

  /** Patterns whose template cannot be filled safely, and invalid ones, grant nothing; in `deny` they deny everything they could have meant. */
  constructor(allow: GrantMap, deny: GrantMap = {}, values: TemplateValues = {}) {
    this.#allow = compile(allow, (template) => fill(template, values)).filter((grant) => grant.pattern !== null);
    this.#deny = compile(deny, (template) => fill(template, values) ?? widest(template));
  }

  /** Whether `operation` on one tag is allowed. */
  allows(operation: Operation, tag: string): boolean {
    const concerns = ({ pattern, operations }: Grant) =>
      operations.has(operation) && (pattern === null || matches(pattern, tag));
    return this.#allow.some(concerns) && !this.#deny.some(concerns);
  }

  /** Whether `operation` is allowed on every tag that `pattern` matches: one allow covers it, no deny intersects it. */
  allowsAll(operation: Operation, pattern: string): boolean {
    const grants = this.#allow.some(
      (grant) => grant.operations.has(operation) && grant.pattern !== null && covers(grant.pattern, pattern),
    );
    const denies = (grant: Grant) =>
      grant.operations.has(operation) && (grant.pattern === null || intersects(grant.pattern, pattern));
    return grants && !this.#deny.some(denies);
  }
}

/** Whether `template` is a valid pattern once its templates are filled: what writers of credentials are to check. */
export function isGrantPattern(template: string): boolean {
  return fill(template, { client: "x", sub: "x" }) !== null;
}

function compile(map: GrantMap, pattern: (template: string) => string | null): Grant[] {
  return Object.entries(map).map(([template, names]) => ({
    pattern: pattern(template),
    operations: new Set(names.flatMap((name) => shorthands.get(name) ?? [name as Operation])),
  }));
}

/** The pattern with its templates filled, or null where a value is missing or could change the pattern's meaning. */
function fill(template: string, values: TemplateValues): string | null {
  let safe = true;
  // An unknown or unclosed template is one that cannot be filled, not a level that happens to look like this.
  const pattern = template.replace(/\$\{[^}]*\}?/g, (whole: string) => {
    const value = whole === "${client}" ? values.client : whole === "${sub}" ? values.sub : null;
    if (!value || /[/+#\0]/.test(value) || isSystemTag(value)) safe = false;
    return value ?? "";
  });
  return safe && isPattern(pattern) ? pattern : null;
}

/**
 * What covers everything that an unfillable template could have meant, whatever its values: all below the levels before
 * the first template, or null, every tag.
 */
function widest(template: string): string | null {
  const levels = template.split("/");
  const first = levels.findIndex((level) => level.includes("${"));
  if (first < 1) return null;
  const pattern = [...levels.slice(0, first), "#"].join("/");
  return isPattern(pattern) ? pattern : null;
}
