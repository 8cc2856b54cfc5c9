/**
 * What a login leaves with a browser: sealed with a key of the server, so that nobody else can read it or make one. It holds
 * what the credential is found by again, never the secret of a managed token itself.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { z } from "zod";

/** How a credential is found again: a JWT is verified again, anything else is known by the SHA-256 of its secret. */
export type Keepsake = { readonly hash: string } | { readonly jwt: string };

const ticketSchema = z.strictObject({
  /** Of the login: new with each, the same in every ticket of it. */
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** When the credential was presented, and when this ticket was made; milliseconds since 1970. */
  sinceMs: z.int().min(0),
  madeMs: z.int().min(0),
  keepsake: z.union([z.strictObject({ hash: z.string() }), z.strictObject({ jwt: z.string() })]),
});

export type Ticket = Readonly<z.infer<typeof ticketSchema>>;

/** Begins every ticket: no credential looks like this. */
export const ticketPrefix = "tcl_";

const cipher = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;

/** From text of any length. */
export function ticketKey(text: string): Uint8Array {
  return createHash("sha256").update("tagcast login 1\0").update(text).digest();
}

export function newTicketKey(): Uint8Array {
  return randomBytes(32);
}

/** `place`: where the ticket is to be kept; it opens there alone. */
export function seal(ticket: Ticket, place: string, key: Uint8Array): string {
  const nonce = randomBytes(nonceBytes);
  const sealing = createCipheriv(cipher, key, nonce).setAAD(Buffer.from(place));
  const body = Buffer.concat([sealing.update(JSON.stringify(ticket)), sealing.final()]);
  return ticketPrefix + Buffer.concat([nonce, sealing.getAuthTag(), body]).toString("base64url");
}

/** Null where it was not sealed with this key for this place, or was changed. */
export function unseal(text: string, place: string, key: Uint8Array): Ticket | null {
  if (!text.startsWith(ticketPrefix)) return null;
  const bytes = Buffer.from(text.slice(ticketPrefix.length), "base64url");
  // One ticket has one text: what else decodes to the same bytes is none.
  if (bytes.length <= nonceBytes + tagBytes || ticketPrefix + bytes.toString("base64url") !== text) return null;
  const opening = createDecipheriv(cipher, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
  opening.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
  try {
    const body = Buffer.concat([opening.update(bytes.subarray(nonceBytes + tagBytes)), opening.final()]);
    return ticketSchema.parse(JSON.parse(body.toString()));
  } catch {
    return null;
  }
}
