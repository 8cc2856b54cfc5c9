/** Who may do what: the grants of the credential, and the tags of the server itself (`$…`), in one place for every gateway. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import { hasWildcard, isSystemTag } from "../core/tag.ts";

/** `$reply/` and 32 hexadecimal digits: published to by whoever was given it, read by its session alone. */
const replyTag = /^\$reply\/[0-9a-f]{32}\/./;

export function mayPublish(identity: Identity, tag: string): boolean {
  return isSystemTag(tag) ? replyTag.test(tag) : identity.grants.allows("publish", tag);
}

/** @param replyPrefix the private reply tags of the subscriber, without the slash, or null where it has none */
export function maySubscribe(identity: Identity, pattern: string, replyPrefix: string | null): boolean {
  if (isSystemTag(pattern)) return replyPrefix !== null && pattern.startsWith(`${replyPrefix}/`);
  return identity.grants.allowsAll("subscribe", pattern);
}

/** @throws ProtocolError `denied` */
export function assertGranted(identity: Identity, operation: "history" | "presence" | "admin", pattern: string): void {
  const granted = hasWildcard(pattern)
    ? identity.grants.allowsAll(operation, pattern)
    : identity.grants.allows(operation, pattern);
  if (isSystemTag(pattern) || !granted) throw new ProtocolError(errors.denied);
}
