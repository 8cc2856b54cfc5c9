/** `GET /v1/history`: past messages of a tag, page by page. */
import { createRoute, z } from "@hono/zod-openapi";
import { op, type Raw, wireLimits } from "../../wire/messages.ts";
import { answer, type Api, type RouteParts } from "./context.ts";
import { ask } from "./outcomes.ts";
import {
  anythingSchema,
  countSchema,
  guardedIn,
  guardedProblems,
  positionSchema,
  result,
  sinceSchema,
  tagSchema,
} from "./schemas.ts";

const pageSchema = z
  .object({
    position: positionSchema.meta({ description: "Of the newest message in the log" }),
    messages: z
      .array(
        z.object({
          offset: z.int(),
          payload: anythingSchema.meta({ description: "As published" }),
          meta: z.record(z.string(), z.unknown()).nullable(),
          timeMs: z.int().meta({ description: "When it was appended, milliseconds since 1970" }),
        }),
      )
      .meta({ description: "Oldest first; at most 64 KiB, or one message" }),
    more: z.boolean().meta({ description: "Continue with since=EPOCH:OFFSET of the last message" }),
    recovered: z.boolean().optional().meta({ description: "With since: false where messages after it are lost" }),
  })
  .meta({ id: "HistoryPage" });

const querySchema = z.object({
  tag: tagSchema,
  since: sinceSchema.optional(),
  last: countSchema(0xffff_ffff, "Only the newest so many").optional(),
  limit: countSchema(wireLimits.historyLimitMax, "Messages in one answer").default(100),
});

const route = {
  method: "get",
  path: "/v1/history",
  ...guardedIn("Messages"),
  operationId: "readHistory",
  summary: "Read past messages of a tag",
  description: "Needs the grant `history` on the tag, and a rule that gives it a log.",
  request: { query: querySchema },
  responses: { 200: result(pageSchema, "A page"), ...guardedProblems(404) },
} as const;

/** What the hub answers. */
interface Page {
  readonly position: readonly [number, number];
  readonly messages: readonly (readonly [offset: number, payload: Raw, meta: Raw | null, timeMs: number])[];
  readonly more: boolean;
  readonly recovered?: boolean;
}

export function mountHistory(api: Api, { hub, guard }: RouteParts): void {
  api.openapi(createRoute({ ...route, middleware: guard }), async (c) => {
    const identity = c.get("identity");
    const { tag, since = null, last = null, limit } = c.req.valid("query");
    const message = { op: op.history, ref: 0, tag, since, last, limit } as const;
    const page = (await ask(identity, (requester) => hub.history(message, requester))) as unknown as Page;
    const messages = page.messages.map(([offset, payload, meta, timeMs]) => ({ offset, payload, meta, timeMs }));
    return answer(c, { ...page, messages });
  });
}
