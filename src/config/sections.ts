/**
 * Settings that only the file can hold: fields of `[[tags]]` and `[[keys]]`, as tables that reading, `docs/config.md`
 * and the "did you mean" share.
 */
import { keyAlgorithms } from "../core/key-config.ts";
import { isPattern } from "../core/tag.ts";
import { type ProblemList, suggestion } from "./problems.ts";
import { expectation, isTable, parseValue, quoted, type Value, type ValueSpec } from "./values.ts";

export type Field = ValueSpec & {
  readonly help: string;
  readonly required?: true;
  /** Its value is never shown. */
  readonly secret?: true;
};
export type Fields = Readonly<Record<string, Field>>;

const anyText = (text: string) => text.length > 0 && text.length <= 1024;
const day = 24 * 3_600_000;

/** Fields of `[[tags]]`. */
export const tagFields = {
  pattern: {
    kind: "string",
    required: true,
    expected: 'a tag or pattern, with "+" for one level and "#" for the rest',
    accept: isPattern,
    help: "The tags that the rule is for. The first rule that matches a tag applies.",
  },
  history: {
    kind: "table",
    expected: 'a table such as { size = 1000, ttl = "1h" }',
    help: "Keep a log with positions, history and recovery; its bounds are below. Without it messages are live only.",
  },
  retain: {
    kind: "boolean",
    help: "Send the last message on subscribe. Alone it keeps a log of one message. Default: false.",
  },
  presence: { kind: "boolean", help: "Tell who is subscribed. Default: false." },
  delivery: {
    kind: "enum",
    values: ["latest", "stream", "reliable"],
    help: "For a slow subscriber: only the newest message, drop and say so, or continue from the log. Default: reliable with a log, else stream. latest and reliable need a log.",
  },
  local: {
    kind: "boolean",
    help: "The tag never leaves this instance. With `redis` not together with history, retain or presence, which are kept there for all instances. Default: false.",
  },
} as const satisfies Fields;

/** Fields of `history` in a `[[tags]]`. */
export const historyFields = {
  size: {
    kind: "integer",
    required: true,
    min: 1,
    max: 100_000_000,
    help: "Messages that are kept at least, unless another bound is reached first.",
  },
  ttl: { kind: "duration", min: 1000, max: 3660 * day, help: "No message is kept longer. Default: no bound by age." },
  bytes: {
    kind: "size",
    min: 1024,
    max: 1024 ** 4,
    help: "Bytes that the log may take. Default: only the total of all logs is bounded.",
  },
} as const satisfies Fields;

/** Fields of `[[keys]]`. */
export const keyFields = {
  algorithm: { kind: "enum", required: true, values: keyAlgorithms, help: "The only one accepted with this key." },
  secret: {
    kind: "string",
    secret: true,
    expected: "text",
    accept: (text: string) => text.length > 0 && text.length <= 8192,
    help: "For HS256: 32 bytes or more; its UTF-8 bytes are the key.",
  },
  "public-key": {
    kind: "string",
    expected: "PEM text, or the path of a PEM file",
    accept: (text: string) => text.length > 0 && text.length <= 65_536,
    help: "For the others: a public key or certificate, as PEM text or the path of a PEM file.",
  },
  jwk: {
    kind: "table",
    secret: true,
    expected: 'a table such as { kty = "OKP", crv = "Ed25519", x = "…" }',
    help: "A JSON Web Key: symmetric for HS256, else public.",
  },
  "jwks-url": {
    kind: "string",
    expected: "a URL",
    accept: (text: string) => URL.canParse(text) && text.length <= 2048,
    help: "Where to fetch a JSON Web Key Set: https, or http on loopback. Not for HS256.",
  },
  "key-id": {
    kind: "string",
    expected: "text",
    accept: anyText,
    help: "Tokens that name another `kid` are not tried with this key. Default: any.",
  },
  issuer: { kind: "string", expected: "text", accept: anyText, help: "What `iss` must be. Default: anything." },
  audience: {
    kind: "string",
    expected: "text",
    accept: anyText,
    help: "What `aud` must be or contain. Default: anything.",
  },
} as const satisfies Fields;

/** A place in the file: `tags #2`, whose fields are `tags #2 pattern`. */
export interface Place {
  readonly path: string;
  readonly origin: string;
}

/** Entries of one `[[section]]`. More of them than that are a mistake. */
const entriesMax = 1024;

/** The entries of `[[name]]`; a problem where `raw` is something else. */
export function readEntries(raw: unknown, place: Place, problems: ProblemList): readonly (readonly [unknown, Place])[] {
  if (raw === undefined) return [];
  if (!Array.isArray(raw) || raw.length > entriesMax) {
    problems.add(place.path, place.origin, `expected at most ${entriesMax} tables, each begun by [[${place.path}]]`);
    return [];
  }
  return raw.map((entry: unknown, i) => [entry, { path: `${place.path} #${i + 1}`, origin: place.origin }] as const);
}

/** The values of a table by field, without those that have a problem; null where it is no table or lacks a required one. */
export function readTable(
  raw: unknown,
  fields: Fields,
  place: Place,
  problems: ProblemList,
): Readonly<Record<string, Value>> | null {
  if (!isTable(raw)) {
    problems.add(place.path, place.origin, `expected a table, got ${quoted(raw)}`);
    return null;
  }
  const before = problems.count;
  const values: Record<string, Value> = {};
  for (const [name, rawValue] of Object.entries(raw)) {
    const key = `${place.path} ${name}`;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) {
      problems.add(key, place.origin, `unknown key${suggestion(name, Object.keys(fields))}`);
      continue;
    }
    const value = parseValue(field, rawValue);
    if (value === undefined) problems.add(key, place.origin, unexpected(field, rawValue));
    else values[name] = value;
  }
  for (const [name, field] of Object.entries(fields)) {
    if (field.required && !Object.hasOwn(raw, name)) {
      problems.add(`${place.path} ${name}`, place.origin, `is missing: expected ${expectation(field)}`);
    }
  }
  return problems.count === before ? values : null;
}

/** `expected …, got …`, without the value where it is secret. */
export function unexpected(spec: ValueSpec & { readonly secret?: true }, raw: unknown): string {
  return `expected ${expectation(spec)}, got ${spec.secret ? "another value (hidden)" : quoted(raw)}`;
}
