/** Secrets of managed tokens: how they are made, hashed and compared. They are kept nowhere. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** `tct_` and 32 random bytes. */
export function newSecret(): string {
  return `tct_${randomBytes(32).toString("base64url")}`;
}

/** Twelve hexadecimal digits: short to type, and never taken for a flag. */
export function newTokenId(): string {
  return randomBytes(6).toString("hex");
}

/** SHA-256 as lowercase hexadecimal. Secrets have 256 random bits: no salt and no slow hash can add to that. */
export function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Whether two hashes are equal, in time that does not depend on where they differ. */
export function equalHashes(a: string, b: string): boolean {
  const left = Buffer.from(a, "latin1");
  const right = Buffer.from(b, "latin1");
  return left.length === right.length && timingSafeEqual(left, right);
}
