/** What the claims of a verified JWT grant. */
import { z } from "zod";
import { clientSchema, connectionsSchema, grantMapSchema, jtiSchema, rateSchema, subjectSchema } from "./schemas.ts";

/** NumericDate of RFC 7519: seconds, possibly with a fraction, within what a `Date` can hold. */
const numericDate = z.number().min(0).max(8.64e12);

/** Claims that nobody here knows are ignored. */
export const claimsSchema = z.object({
  sub: subjectSchema,
  exp: numericDate,
  iat: numericDate.optional(),
  jti: jtiSchema.optional(),
  client: clientSchema.optional(),
  grants: grantMapSchema.default({}),
  deny: grantMapSchema.default({}),
  connections: connectionsSchema.optional(),
  messagesPerSecond: rateSchema.optional(),
  bytesPerSecond: rateSchema.optional(),
});

export type Claims = z.infer<typeof claimsSchema>;
