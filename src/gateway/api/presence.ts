/** `GET /v1/presence`: who is subscribed to a tag. */
import { createRoute, z } from "@hono/zod-openapi";
import { membersListedMax } from "../../core/presence.ts";
import { op, type Raw } from "../../wire/messages.ts";
import { answer, type Api, type RouteParts } from "./context.ts";
import { ask } from "./outcomes.ts";
import { anythingSchema, guardedIn, guardedProblems, result, tagSchema } from "./schemas.ts";

const membersSchema = z
  .object({
    version: z.int().meta({ description: "Grows with each change" }),
    count: z.int(),
    members: z
      .array(
        z.object({
          client: z.string(),
          generation: z.int().meta({ description: "Tells connections of one client apart" }),
          info: anythingSchema.meta({ description: "What the member said of itself" }),
        }),
      )
      .nullable()
      .meta({ description: `Null above ${membersListedMax} members` }),
  })
  .meta({ id: "Members" });

const route = {
  method: "get",
  path: "/v1/presence",
  ...guardedIn("Messages"),
  operationId: "listMembers",
  summary: "List who is subscribed to a tag",
  description: "Needs the grant `presence` on the tag, and a rule that gives it presence.",
  request: { query: z.object({ tag: tagSchema }) },
  responses: { 200: result(membersSchema, "The members"), ...guardedProblems(404) },
} as const;

/** What the hub answers. */
interface Members {
  readonly version: number;
  readonly count: number;
  readonly members: readonly (readonly [client: string, generation: number, info: Raw | null])[] | null;
}

export function mountPresence(api: Api, { hub, guard }: RouteParts): void {
  api.openapi(createRoute({ ...route, middleware: guard }), async (c) => {
    const { tag } = c.req.valid("query");
    const message = { op: op.presence, ref: 0, tag } as const;
    const found = await ask(c.get("identity"), (requester) => hub.presence(message, requester));
    const { version, count, members } = found as unknown as Members;
    const listed = members?.map(([client, generation, info]) => ({ client, generation, info })) ?? null;
    return answer(c, { version, count, members: listed });
  });
}
