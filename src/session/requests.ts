/** One function per operation: what a message of the client asks of the hub. Throws `ProtocolError` for what is refused at once. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import { hasWildcard } from "../core/tag.ts";
import { sharedMeta } from "../hub/publishing.ts";
import type { TagState } from "../hub/space.ts";
import type { NativeConnection } from "../hub/subscriber.ts";
import { unreachable } from "../lib/assert.ts";
import type { ClientMessage, PublishMessage } from "../wire/messages.ts";
import { op } from "../wire/messages.ts";
import { encodeMeta } from "../wire/meta.ts";
import type { Aliases } from "./aliases.ts";
import { AliasTeller } from "./aliases.ts";
import { connect, refresh } from "./connect.ts";
import { ask } from "./pending-request.ts";
import type { Session } from "./session.ts";

/** Handles one message. @throws ProtocolError */
export function request(session: Session, message: ClientMessage): void {
  if (message.op === op.publish && session.active) return publish(session, message);
  if (message.op === op.connect) return connect(session, message);
  if (message.op === op.ping) return session.done(message.ref);
  if (!session.active) throw new ProtocolError(errors.unauthenticated);
  const { hub } = session.registry;
  switch (message.op) {
    case op.publish:
      return publish(session, message);
    case op.subscribe:
      session.speed.spend("subscribes");
      return ask(session, (requester) => hub.subscribe(session, message, requester));
    case op.unsubscribe:
      hub.unsubscribe(session, message.pattern);
      return session.done(message.ref);
    case op.history:
      return ask(session, (requester) => hub.history(message, requester));
    case op.presence:
      return ask(session, (requester) => hub.presence(message, requester));
    case op.refresh:
      return refresh(session, message);
    default:
      return unreachable(message);
  }
}

/** How much work a message other than a publish asks for: pages of a log, and patterns with wildcards, ask for most. */
export function costOf(message: Exclude<ClientMessage, PublishMessage>): number {
  switch (message.op) {
    case op.subscribe:
    case op.unsubscribe:
      return hasWildcard(message.pattern) ? 16 : 2;
    case op.history:
      return 4;
    case op.connect:
    case op.refresh:
      return 4;
    case op.presence:
      return 2;
    case op.ping:
      return 1;
    default:
      return unreachable(message);
  }
}

/** What the hub is handed for each publish: one object, filled anew, since nothing keeps it. */
const publication = {
  frame: new Uint8Array(0) as Uint8Array,
  payloadStart: 0,
  payloadEnd: 0,
  meta: null as Uint8Array | null,
  id: null as string | null,
  except: null as NativeConnection | null,
};

function publish(session: Session, message: PublishMessage): void {
  session.traffic.messagesIn++;
  const { hub } = session.registry;
  const { options, tags } = message;
  publication.frame = message.frame;
  publication.payloadStart = message.payloadStart;
  publication.payloadEnd = message.payloadEnd;
  publication.id = options === null ? null : options.id;
  publication.except = (options?.echo ?? session.echo) ? null : session.native;
  if (tags !== null) return publishToSeveral(session, message.ref, tags, options?.reply ?? null);
  const state =
    message.alias < 0
      ? session.targets.find(session.identity, message.frame, message.tagStart, message.tagEnd)
      : aliased(session, message.alias);
  publication.meta = options !== null && options.reply !== null ? encodeMeta({ reply: options.reply }) : null;
  const publisher = session.aliases === null ? session : publisherOf(session, session.aliases, message, state);
  if (hub.publish(state, publication, publisher, message.ref)) publisher.done(message.ref);
}

/** @throws ProtocolError `invalidTag`, `denied` */
function aliased(session: Session, alias: number): TagState {
  if (session.aliases === null)
    throw new ProtocolError(errors.invalidTag, "This connection did not ask for aliases in op 1");
  return session.aliases.find(session.identity, alias);
}

/** Who is told what became of a publish: with an alias, where it named the tag. */
function publisherOf(
  session: Session,
  aliases: Aliases,
  { ref, alias }: PublishMessage,
  state: TagState,
): Session | AliasTeller {
  const given = ref === 0 || alias >= 0 ? null : aliases.give(state);
  return given === null ? session : new AliasTeller(session, given);
}

/** One message per tag, in order; refused as a whole where any tag is invalid or not granted. */
function publishToSeveral(session: Session, ref: number, tags: readonly string[], reply: string | null): void {
  const { hub } = session.registry;
  session.speed.messages -= tags.length - 1;
  const states = tags.map((tag) => hub.target(session.identity, tag));
  publication.meta = sharedMeta(publication.id, reply);
  hub.publishToSeveral(states, publication, session, ref);
}
