/** Fields that several routes take or give, as the schemas that check them and stand in the OpenAPI document. */
import { z } from "@hono/zod-openapi";
import type { RouteConfig } from "@hono/zod-openapi";
import { problemsOf } from "../../auth/token-state.ts";
import type { ErrorCode } from "../../core/codes.ts";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { isEpoch, isOffset } from "../../core/position.ts";
import { isPattern, isTag, tagBytesMax } from "../../core/tag.ts";
import { mediaTypes } from "./context.ts";
import { problemType } from "../problem.ts";

/** The error of a check that has a code of its own. */
export const failsWith = (code: ErrorCode) => ({ error: code.text, params: { code } });

const text = (example: string, description: string) =>
  ({ minLength: 1, maxLength: tagBytesMax, example, description }) as const;

export const tagSchema = z
  .string()
  .refine(isTag, failsWith(errors.invalidTag))
  .meta(text("plant/7/temp", "A tag: 1–255 bytes, levels joined by /, no wildcards"));

export const patternSchema = z
  .string()
  .refine(isPattern, failsWith(errors.invalidPattern))
  .meta(text("plant/#", "A tag, or a pattern: + stands for one level, # for the rest"));

export const positionSchema = z
  .tuple([z.int(), z.int()])
  .meta({ minItems: 2, maxItems: 2, example: [3735928559, 42], description: "[epoch, offset]" });

/** Any value, but one. */
export const anythingSchema = z.unknown().refine((value) => value !== undefined, "Required");

const sinceForm = /^\d{1,10}:\d{1,16}$/;

/** `EPOCH:OFFSET`, as a position stands in a URL. */
export const sinceSchema = z
  .string()
  .regex(sinceForm, "Must be EPOCH:OFFSET")
  .transform((text) => {
    const [epoch, offset] = text.split(":").map(Number);
    return { epoch: epoch as number, offset: offset as number };
  })
  .refine(({ epoch, offset }) => isEpoch(epoch) && isOffset(offset), "Not a position")
  .meta({
    type: "string",
    pattern: sinceForm.source,
    example: "3735928559:42",
    description: "EPOCH:OFFSET: only what came after this position",
  });

/** A whole number of a query. */
export function countSchema(max: number, description: string) {
  return z.coerce.number().int().min(1).max(max).meta({ description });
}

export const listLimitMax = 1000;
export const listLimitSchema = countSchema(listLimitMax, "Entries in one answer").default(100);

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: "For people" }),
    code: z.int().meta({ description: "One of docs/codes.md, the same as on the wire" }),
  })
  .meta({ id: "Problem", description: "What went wrong (RFC 9457)" });

const statusTexts: Readonly<Record<number, string>> = {
  400: "The request is malformed, or a field is missing or out of range",
  401: "No credential, or one that is not valid (any more)",
  403: "The credential does not grant this",
  404: "There is no such thing",
  408: "The body did not come in time",
  413: "The body or a payload is too large",
  415: "The body is of a type that this route does not take",
  429: "The server is congested, or too much came from this address: try again",
  500: "A fault of the server",
  501: "This server does not do that",
  503: "Not available now: try again",
  504: "The outcome is unknown: try again with the same id",
};

type Responses = RouteConfig["responses"];

/** Problem documents with these statuses. */
export function problems(...statuses: readonly number[]): Responses {
  const content = { [problemType]: { schema: problemSchema } };
  return Object.fromEntries(
    statuses.map((status) => [status, { description: statusTexts[status] ?? "Problem", content }]),
  );
}

/** Where a route behind the guard stands in the document. */
export function guardedIn(section: "Messages" | "Administration" | "Tokens" | "Login") {
  return { tags: [section], security: [{ bearer: [] }, { cookie: [] }] };
}

/** What every route behind the guard may answer beside its result, and more. */
export function guardedProblems(...more: readonly number[]): Responses {
  return problems(400, 401, 403, 500, 503, ...more);
}

/** An answer of one media type. */
export function described(description: string, mediaType: string, schema: z.ZodType): Responses[string] {
  return { description, content: { [mediaType]: { schema } } };
}

/** A result, as JSON or MessagePack. */
export function result(schema: z.ZodType, description: string): Responses[string] {
  return { description, content: { [mediaTypes.json]: { schema }, [mediaTypes.msgpack]: { schema } } };
}

/** @throws ProtocolError with the code of the first check that has one, else `badRequest` */
export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw refusal(parsed.error);
}

export function refusal(error: z.ZodError): ProtocolError {
  const codes = error.issues.map((issue) => (issue.code === "custom" ? issue.params?.["code"] : undefined));
  const code = codes.find((code) => code !== undefined) as ErrorCode | undefined;
  return new ProtocolError(code ?? errors.badRequest, problemsOf(error));
}
