/**
 * The connections of all instances, for administrators: each instance answers for its own, and whoever was asked puts the
 * answers together. A server that is alone answers for itself.
 */
import { z } from "@hono/zod-openapi";
import { adminTokenId } from "../../core/identity.ts";
import { disconnects } from "../../core/codes.ts";
import type { Logger } from "../../core/logger.ts";
import type { Control, Replies } from "../../core/shared.ts";
import { isSystemTag } from "../../core/tag.ts";
import type { Hub } from "../../hub/hub.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Connected } from "../../session/connected.ts";
import type { Registry } from "../../session/registry.ts";

/** Patterns that the view of one connection lists. */
export const patternsMax = 1000;

export const connectionFields = {
  id: z.string().meta({ description: "Id of the session, as op 1 told it to the client" }),
  client: z.string(),
  generation: z.int().meta({ description: "Grows from connection to connection" }),
  subject: z.string(),
  tokenId: z.string().meta({ description: "Id of a managed token, or jwt: and the jti" }),
  credential: z.enum(["admin", "jwt", "managed"]).meta({ description: "What kind of token that is" }),
  login: z.string().nullable().meta({ description: "Id of the login that let it in; null: the token itself did" }),
  transport: z.enum(["websocket", "sse"]),
  form: z.enum(["msgpack", "json"]),
  remoteAddress: z.string(),
  origin: z.string().nullable().meta({ description: "Origin of its page, as its browser says; null: none" }),
  openedAtMs: z.int().meta({ description: "Milliseconds since 1970" }),
  expiresAtMs: z.int().nullable().meta({ description: "When its token expires" }),
  subscriptions: z.int(),
  bufferedBytes: z.int().meta({ description: "Sent, but not taken by the network yet" }),
  instance: z.string().optional().meta({ description: "Id of the instance it is connected to, in a cluster" }),
};
const connectionSchema = z.object(connectionFields);
const detailSchema = z.object({ ...connectionFields, patterns: z.array(z.string()) });
const pageSchema = z.object({ connections: z.array(connectionSchema), more: z.boolean() });

export type ConnectionView = z.infer<typeof connectionSchema>;
export type ConnectionDetail = z.infer<typeof detailSchema>;

const querySchema = z.object({
  app: z.string(),
  client: z.string().optional(),
  subject: z.string().optional(),
  after: z.number(),
  limit: z.number(),
});
const namedSchema = z.object({ app: z.string(), id: z.string() });
const endSchema = z.object({ app: z.string(), id: z.string(), reconnect: z.boolean(), by: z.string() });
const endAllSchema = z.object({
  app: z.string(),
  client: z.string().optional(),
  subject: z.string(),
  login: z.string().optional(),
  reconnect: z.boolean(),
  by: z.string(),
  /** The order may be heard later: who came after it was given is not meant. By `Connected.generation`. */
  until: z.number(),
});

export type ConnectionQuery = z.infer<typeof querySchema>;

interface Page {
  readonly connections: readonly ConnectionView[];
  readonly more: boolean;
}

export interface DirectoryParts {
  readonly hub: Hub;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Logger;
  /** Null: there are no other instances. */
  readonly control: Control | null;
}

/** Ids of instances that did not answer in time; empty where all did. */
interface Unanswered {
  readonly unanswered: readonly string[];
}

const words = {
  list: "connections.list",
  show: "connections.show",
  end: "connections.end",
  endAll: "connections.endAll",
} as const;

export class Directory {
  readonly #parts: DirectoryParts;

  /** Answers other instances from now on. */
  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    parts.control?.on(words.list, (question) => this.#list(querySchema.parse(question)));
    parts.control?.on(words.show, (question) => this.#show(namedSchema.parse(question)));
    parts.control?.on(words.end, (order) => this.#end(endSchema.parse(order)));
    parts.control?.on(words.endAll, (order) => this.#endAll(endAllSchema.parse(order)));
  }

  /** Oldest first. */
  async list(query: ConnectionQuery): Promise<Page & Unanswered> {
    const { control } = this.#parts;
    if (control === null) return { ...this.#list(query), unanswered: [] };
    const { answers, unanswered } = understood(await control.ask(words.list, query), pageSchema);
    const all = answers.flatMap(({ connections }) => connections).toSorted((a, b) => a.generation - b.generation);
    const more = all.length > query.limit || answers.some((answer) => answer.more);
    return { connections: all.slice(0, query.limit), more, unanswered };
  }

  async show(app: string, id: string): Promise<{ readonly found: ConnectionDetail | null } & Unanswered> {
    const { control } = this.#parts;
    const own = this.#show({ app, id });
    if (own !== null || control === null) return { found: own, unanswered: [] };
    const { answers, unanswered } = understood(await control.ask(words.show, { app, id }), detailSchema.nullable());
    return { found: answers.find((answer) => answer !== null) ?? null, unanswered };
  }

  /** Rejected where instances cannot be told. Those that did not answer end it when they hear of it. */
  async end(order: z.infer<typeof endSchema>): Promise<{ readonly ended: boolean } & Unanswered> {
    const { control } = this.#parts;
    const ended = this.#end(order);
    if (ended || control === null) return { ended, unanswered: [] };
    const { answers, unanswered } = understood(await control.order(words.end, order), z.boolean());
    return { ended: answers.includes(true), unanswered };
  }

  /** How many were ended. Rejected where instances cannot be told; those that did not answer end theirs when they hear of it. */
  async endAll(
    matching: Omit<z.infer<typeof endAllSchema>, "until">,
  ): Promise<{ readonly ended: number } & Unanswered> {
    const { control, registry } = this.#parts;
    const order = { ...matching, until: registry.nextGeneration() };
    if (control === null) return { ended: this.#endAll(order), unanswered: [] };
    const { answers, unanswered } = understood(await control.order(words.endAll, order), z.number());
    return { ended: answers.reduce((sum, count) => sum + count, 0), unanswered };
  }

  #list({ app, client, subject, after, limit }: ConnectionQuery): Page {
    const found: Connected[] = [];
    for (const session of this.#parts.registry.active(app)) {
      if (session.generation <= after) continue;
      if (client !== undefined && session.client !== client) continue;
      if (subject !== undefined && session.identity.subject !== subject) continue;
      if (found.push(session) > limit) break;
    }
    return { connections: found.slice(0, limit).map((session) => this.#view(session)), more: found.length > limit };
  }

  #show({ app, id }: { readonly app: string; readonly id: string }): ConnectionDetail | null {
    const session = this.#find(app, id);
    if (session === null) return null;
    const patterns = this.#parts.hub.subscriptionsOf(session).filter((pattern) => !isSystemTag(pattern));
    return { ...this.#view(session), patterns: patterns.slice(0, patternsMax) };
  }

  #end({ app, id, reconnect, by }: z.infer<typeof endSchema>): boolean {
    const session = this.#find(app, id);
    if (session === null) return false;
    this.#parts.log.info("connection ended by an administrator", { session: id, app, by });
    session.end(reconnect ? disconnects.reconnect : disconnects.removed);
    return true;
  }

  #endAll({ app, client, subject, login, reconnect, by, until }: z.infer<typeof endAllSchema>): number {
    const meant = [...this.#parts.registry.active(app)].filter(
      (session) =>
        session.generation < until &&
        (client === undefined || session.client === client) &&
        session.identity.subject === subject &&
        (login === undefined || session.identity.login?.id === login),
    );
    this.#parts.log.info("connections ended by an administrator", { count: meant.length, app, by });
    for (const session of meant) session.end(reconnect ? disconnects.reconnect : disconnects.removed);
    return meant.length;
  }

  #find(app: string, id: string): Connected | null {
    for (const session of this.#parts.registry.active(app)) if (session.id === id) return session;
    return null;
  }

  #view(session: Connected): ConnectionView {
    const { hub, clock, control } = this.#parts;
    const { id, client, generation, identity, transport, lane, remoteAddress, origin } = session;
    return {
      id,
      client,
      generation,
      subject: identity.subject,
      tokenId: identity.tokenId,
      credential: kindOf(identity.tokenId),
      login: identity.login?.id ?? null,
      transport,
      form: lane,
      remoteAddress,
      origin,
      openedAtMs: Math.round(clock.wallMs() - (clock.monotonicMs() - session.openedAtMs)),
      expiresAtMs: identity.expiresAtMs,
      subscriptions: hub.subscriptionsOf(session).length,
      bufferedBytes: session.bufferedBytes(),
      ...(control !== null && { instance: control.instance }),
    };
  }
}

function kindOf(tokenId: string): ConnectionView["credential"] {
  if (tokenId === adminTokenId) return "admin";
  return tokenId.startsWith("jwt:") ? "jwt" : "managed";
}

/** Answers of another form, as of an instance of another version, count as none. */
function understood<T>({ replies, unanswered }: Replies, schema: z.ZodType<T>): { answers: T[] } & Unanswered {
  const answers: T[] = [];
  const missing = [...unanswered];
  for (const { instance, answer } of replies) {
    const parsed = schema.safeParse(answer);
    if (parsed.success) answers.push(parsed.data);
    else missing.push(instance);
  }
  return { answers, unanswered: missing };
}
