/** `GET /v1/tags`: what is subscribed to on this instance. */
import { createRoute, z } from "@hono/zod-openapi";
import { answer, type Api, type RouteParts } from "./context.ts";
import { guardedIn, guardedProblems, listLimitSchema, patternSchema, positionSchema, result } from "./schemas.ts";

const topicsSchema = z
  .object({
    tags: z
      .array(
        z.object({
          pattern: z.string().meta({ description: "A tag, or a pattern with wildcards, as subscribed to" }),
          subscribers: z.int(),
          log: positionSchema.optional().meta({ description: "Where the log of the tag stands" }),
        }),
      )
      .meta({ description: "In the order of their patterns" }),
    more: z.boolean().meta({ description: "Continue with after=PATTERN of the last one" }),
  })
  .meta({ id: "LiveTags" });

const route = {
  method: "get",
  path: "/v1/tags",
  ...guardedIn("Administration"),
  operationId: "listTags",
  summary: "List what is subscribed to on this instance, with counts",
  description: "Needs the grant `admin` on the pattern. A + in a URL is written %2B, a # %23.",
  request: {
    query: z.object({
      pattern: patternSchema.default("#").meta({ description: "Only what this pattern covers" }),
      after: z.string().optional().meta({ description: "Only what comes after this pattern in the list" }),
      limit: listLimitSchema,
    }),
  },
  responses: { 200: result(topicsSchema, "Tags and patterns with subscribers"), ...guardedProblems() },
} as const;

export function mountTags(api: Api, { hub, guard }: RouteParts): void {
  api.openapi(createRoute({ ...route, middleware: guard }), (c) => {
    const { pattern, after, limit } = c.req.valid("query");
    const topics = hub
      .liveTopics(c.get("identity"), pattern)
      .filter((topic) => after === undefined || topic.pattern > after)
      .toSorted((a, b) => (a.pattern < b.pattern ? -1 : 1));
    const tags = topics.slice(0, limit).map(({ pattern, subscribers, log }) => ({
      pattern,
      subscribers,
      log: log === null ? undefined : [log.epoch, log.offset],
    }));
    return answer(c, { tags, more: topics.length > limit });
  });
}
