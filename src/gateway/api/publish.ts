/** `POST /v1/publish`: one payload, one message, or a batch, on the same way as what comes over the wire. */
import { createRoute, z } from "@hono/zod-openapi";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { sharedMeta } from "../../hub/publishing.ts";
import type { Hub } from "../../hub/hub.ts";
import { badRequest, idOf } from "../../wire/check.ts";
import { encodeMeta } from "../../wire/meta.ts";
import { assertInTime } from "../too-fast.ts";
import { frameSlackBytes } from "../websocket.ts";
import { mediaTypeOf, unsupported } from "./body.ts";
import { answer, type Api, mediaTypes, type RouteParts } from "./context.ts";
import { type Outcome, Outcomes } from "./outcomes.ts";
import { batchSchema, idSchema, messageSchema, type Outgoing, PublicationReader, tagsSchema } from "./publications.ts";
import type { Publications } from "./publications.ts";
import { guardedIn, guardedProblems, positionSchema, result, tagSchema } from "./schemas.ts";

const publishedSchema = z
  .object({
    position: positionSchema.optional().meta({ description: "Left out where the tag keeps no log" }),
    repeated: z.literal(true).optional().meta({ description: "This id was published before: it is that position" }),
  })
  .meta({ id: "Published" });
const severalSchema = z
  .object({ results: z.array(z.union([positionSchema, z.int(), z.null()])) })
  .meta({ id: "PublishedToSeveral", description: "For each tag its position, null (no log), or the error code" });
const refusedSchema = z.object({ code: z.int(), detail: z.string() }).meta({ id: "Refused" });
const batchResultSchema = z
  .object({ results: z.array(z.union([publishedSchema, severalSchema, refusedSchema])) })
  .meta({ id: "PublishedBatch", description: "For each message what became of it" });

const querySchema = z.object({
  tag: z
    .preprocess((value) => (typeof value === "string" ? [value] : value), tagsSchema.optional())
    .meta({ description: "Where the whole body is the payload: the tag to publish it to; up to 16 times" }),
  // No examples: the viewer would fill them in, and without `tag` they are refused.
  id: idSchema.optional().meta({ description: "With tag: idempotency id", example: undefined }),
  reply: tagSchema.optional().meta({ description: "With tag: where an answer is awaited", example: undefined }),
});

const payloadSchema = { type: "string", format: "binary" } as const;
const jsonSchema = {
  anyOf: [
    { $ref: "#/components/schemas/Message" },
    { $ref: "#/components/schemas/Batch" },
    { description: "With tag in the query: any value" },
  ],
};

const route = {
  ...guardedIn("Messages"),
  method: "post",
  path: "/v1/publish",
  operationId: "publish",
  summary: "Publish a payload, a message, or a batch",
  description:
    "With `tag` in the query the body is the payload: JSON, text, bytes or MessagePack. Without, it is a message or a batch, as " +
    "JSON or MessagePack. Needs the grant `publish` on each tag. Answered once the broker has what goes to a log. A batch " +
    "is answered 200 whatever became of its messages.",
  request: {
    query: querySchema,
    body: {
      required: true,
      content: {
        [mediaTypes.json]: { schema: jsonSchema },
        [mediaTypes.msgpack]: { schema: payloadSchema },
        "text/plain": { schema: { type: "string" as const } },
        "application/octet-stream": { schema: payloadSchema },
      },
    },
  },
  responses: {
    200: result(z.union([publishedSchema, severalSchema, batchResultSchema]), "Published"),
    ...guardedProblems(408, 413, 415, 429, 504),
  },
} as const;

export function mountPublish(api: Api, parts: RouteParts): void {
  const { hub, registry, bodies, guard, payloadMaxBytes, depthMax } = parts;
  const reader = new PublicationReader({ payloadMaxBytes, depthMax });
  // As much as a frame of a WebSocket may hold.
  const bytesMax = 2 * payloadMaxBytes + frameSlackBytes;
  api.openAPIRegistry.register("Message", messageSchema);
  api.openAPIRegistry.register("Batch", batchSchema);

  api.openapi(createRoute({ ...route, middleware: guard }), async (c) => {
    assertRelieved(hub);
    const identity = c.get("identity");
    assertInTime(registry.rates, identity, "bytes");
    const type = mediaTypeOf(c);
    const query = c.req.valid("query");
    const body = await bodies.read(c, bytesMax);
    const publications =
      query.tag === undefined ? messages(reader, query, body, type) : payload(reader, query, body, type);
    const traffic = registry.traffic.http[type === mediaTypes.msgpack ? "msgpack" : "json"];
    traffic.bytesIn += body.length;
    traffic.messagesIn += publications.messages.length;
    // The request itself is the first of them.
    registry.rates.charge(identity, { messages: countOf(publications) - 1, bytes: body.length });
    const outcomes = new Outcomes(identity, publications.messages.length);
    for (const [index, message] of publications.messages.entries()) {
      outcomes.request(index, () => publish(hub, message, outcomes, index));
    }
    if (!publications.batch) return answer(c, await outcomes.one());
    const all = await outcomes.all();
    for (const outcome of all) {
      if (!("error" in outcome)) continue;
      registry.countError(outcome.error.code);
      if (!outcome.error.code.retry) registry.rates.charge(identity, { errors: 1 });
    }
    return answer(c, { results: all.map(told) });
  });
}

/** One for each tag; what is malformed counts too. */
function countOf({ messages }: Publications): number {
  return messages.reduce((sum, message) => sum + (message instanceof ProtocolError ? 1 : message.tags.length), 0);
}

type Query = z.infer<typeof querySchema>;

/** The whole body as the payload of one message. */
function payload(reader: PublicationReader, query: Query, body: Uint8Array, type: string): Publications {
  const extent = reader.payload(body, type);
  if (extent === null) {
    throw unsupported("A payload is application/json, text/plain, application/octet-stream or application/msgpack");
  }
  const tags = query.tag ?? [];
  const id = idOf(query.id ?? null);
  return { batch: false, messages: [{ ...extent, tags, several: tags.length > 1, id, reply: query.reply ?? null }] };
}

function messages(reader: PublicationReader, query: Query, body: Uint8Array, type: string): Publications {
  if (query.id !== undefined || query.reply !== undefined) {
    throw badRequest("`id` and `reply` stand in the query only beside `tag`");
  }
  const found = reader.messages(body, type);
  if (found !== null) return found;
  throw unsupported("A message is application/json or application/msgpack; a bare payload needs `tag` in the query");
}

/** @throws ProtocolError */
function publish(hub: Hub, message: Outgoing | ProtocolError, outcomes: Outcomes, index: number): void {
  if (message instanceof ProtocolError) throw message;
  // One message of a batch may be enough.
  assertRelieved(hub);
  const { tags, several, id, reply } = message;
  const states = tags.map((tag) => hub.target(outcomes.identity, tag));
  const [state] = states;
  if (several || state === undefined) {
    return hub.publishToSeveral(states, { ...message, meta: sharedMeta(id, reply), except: null }, outcomes, index);
  }
  const meta = reply === null ? null : encodeMeta({ reply });
  if (hub.publish(state, { ...message, meta, except: null }, outcomes, index)) outcomes.answered(index, {});
}

/** @throws ProtocolError `tooManyRequests` */
function assertRelieved(hub: Hub): void {
  if (hub.congested) throw new ProtocolError(errors.tooManyRequests, "More is being published than can be sent");
}

function told(outcome: Outcome) {
  if ("result" in outcome) return outcome.result;
  return { code: outcome.error.code.code, detail: outcome.error.message };
}
