/** `GET /events` in the OpenAPI document. It is answered by `../events.ts`, beside the API: it outlives its request. */
import { createRoute, z } from "@hono/zod-openapi";
import { eventIdLimits, StreamPositions } from "../event-ids.ts";
import { described, guardedIn, guardedProblems } from "./schemas.ts";

const tagsExample = "plant/7/temp";
const idExample = new StreamPositions([tagsExample]).id();
const id = { pattern: "^[A-Za-z0-9_-]*$", maxLength: eventIdLimits.lengthMax, example: idExample } as const;

export const eventsRoute = createRoute({
  ...guardedIn("Messages"),
  method: "get",
  path: "/events",
  operationId: "listen",
  summary: "Subscribe by Server-Sent Events",
  description:
    "A stream that does not end: `subscribed` first, then `message`, `gap`, `unsubscribed`, and `disconnect` as the last event " +
    "(docs/events.md). Needs the grant `subscribe` on each pattern; `history` too to continue and for `last`.",
  request: {
    query: z.object({
      tags: z.string().meta({
        minLength: 1,
        description: `Patterns, each percent-encoded, separated by plain commas or in several parameters: at most ${eventIdLimits.patternsMax}. May stand in the header Tag, too`,
        example: tagsExample,
      }),
      last: z
        .int()
        .min(1)
        .max(2 ** 32 - 1)
        .optional()
        .meta({ description: "Begin with so many of the newest messages of each log" }),
      recover: z
        .boolean()
        .optional()
        .meta({ description: "False: no ids, nothing can be continued, and any number of tags", default: true }),
      lastEventId: z
        .string()
        .optional()
        .meta({ ...id, description: "Where the header Last-Event-ID cannot be sent" }),
    }),
    headers: z.object({
      "last-event-id": z
        .string()
        .optional()
        .meta({ ...id, description: "Continue behind this event" }),
    }),
  },
  responses: {
    200: described("The stream", "text/event-stream", z.string()),
    ...guardedProblems(429),
  },
});
