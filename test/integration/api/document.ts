/** The OpenAPI document as tests read it: its operations, examples for what they take, checks of what they answer. */
import { z } from "zod";

export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly default?: unknown;
  readonly example?: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>;

export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

export class ApiDocument {
  readonly operations: readonly Operation[];
  readonly #schemas: Readonly<Record<string, JsonSchema>>;

  constructor(json: unknown) {
    const { paths, components } = json as {
      paths: Record<string, Record<string, Omit<Operation, "method" | "path">>>;
      components: { schemas: Record<string, JsonSchema> };
    };
    this.#schemas = components.schemas;
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, rest]) => ({ ...rest, path, method: method.toUpperCase() })),
    );
  }

  /** A schema with everything it refers to in place. */
  resolve(schema: JsonSchema): JsonSchema {
    return this.#inline(schema) as JsonSchema;
  }

  /** A value that is to be accepted. */
  exampleOf(given: JsonSchema): unknown {
    const schema = this.resolve(given);
    if (schema.example !== undefined) return schema.example;
    if (schema.default !== undefined) return schema.default;
    if (schema.enum !== undefined) return schema.enum[0];
    if (schema.anyOf?.[0] !== undefined) return this.exampleOf(schema.anyOf[0]);
    const type = typeof schema.type === "string" ? schema.type : schema.type?.[0];
    switch (type) {
      case "integer":
        return schema.minimum ?? 1;
      case "boolean":
        return true;
      case "array":
        return [this.exampleOf(schema.items ?? {})];
      case "object":
        return this.#exampleObject(schema);
      default:
        return "example";
    }
  }

  /** What is wrong with a value, or null. */
  problemWith(schema: JsonSchema, value: unknown): string | null {
    const resolved = this.resolve(schema) as Parameters<typeof z.fromJSONSchema>[0];
    const checked = z.fromJSONSchema(resolved).safeParse(value);
    return checked.success ? null : z.prettifyError(checked.error);
  }

  #exampleObject({ properties = {}, required = [] }: JsonSchema): Record<string, unknown> {
    const needed = Object.entries(properties).filter(([name]) => required.includes(name));
    return Object.fromEntries(needed.map(([name, property]) => [name, this.exampleOf(property)]));
  }

  #inline(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#inline(each));
    if (typeof value !== "object" || value === null) return value;
    const { $ref } = value as { $ref?: string };
    if ($ref === undefined) {
      return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, this.#inline(field)]));
    }
    const found = this.#schemas[$ref.replace("#/components/schemas/", "")];
    if (found === undefined) throw new Error(`${$ref} leads nowhere`);
    return this.#inline(found);
  }
}

/** Texts for a parameter that its schema does not allow. */
export function badTexts({ type, pattern, minimum, maximum, minLength, maxLength, maxItems }: JsonSchema): string[] {
  const types = Array.isArray(type) ? (type as string[]) : [type];
  if (types.includes("integer")) {
    const beyond = [minimum === undefined ? [] : minimum - 1, maximum === undefined ? [] : maximum + 1].flat();
    return ["x", "1.5", ...beyond.map(String)];
  }
  if (types.includes("boolean")) return ["perhaps"];
  if (maxItems !== undefined) return [""];
  const bad = pattern === undefined ? [] : ["?!"];
  if (minLength === 1) bad.push("");
  if (maxLength !== undefined) bad.push("x".repeat(maxLength + 1));
  return bad;
}

/** JSON bodies that an object's schema does not allow, with what is wrong with them. */
export function badBodies(
  schema: JsonSchema,
  good: Readonly<Record<string, unknown>>,
): [what: string, body: unknown][] {
  const bad: [string, unknown][] = [];
  for (const name of schema.required ?? []) {
    const { [name]: _, ...rest } = good;
    bad.push([`no ${name}`, rest]);
  }
  for (const [name, { type }] of Object.entries(schema.properties ?? {})) {
    if (type === undefined) continue;
    const types = Array.isArray(type) ? (type as string[]) : [type];
    bad.push([`another type of ${name}`, { ...good, [name]: types.includes("object") ? 5 : { no: "thing" } }]);
  }
  if (schema.additionalProperties === false) bad.push(["an unknown field", { ...good, unknown: 1 }]);
  return bad;
}
