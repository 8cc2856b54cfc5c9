/** What credentials may say, as checks: shared by the claims of a JWT and the file of managed tokens. */
import { z } from "zod";
import { isGrantPattern, operations, type GrantMap } from "../core/grants.ts";

/** Patterns in one grant map. */
const patternsMax = 1024;
const subjectBytesMax = 255;
const clientBytesMax = 64;
/** The last instant that a `Date` can hold. */
const timeMsMax = 8.64e15;

const grantOperation = z.enum([...operations, "read", "readwrite"]);

/** Patterns are checked by `Grants`, which gives an invalid one no effect in `grants` and the widest in `deny`. */
export const grantMapSchema = z
  .unknown()
  .refine((value) => !(value instanceof Object && Object.hasOwn(value, "__proto__")), "__proto__ is not a pattern")
  .pipe(z.record(z.string(), z.array(grantOperation)))
  .refine((map) => Object.keys(map).length <= patternsMax, `At most ${patternsMax} patterns`)
  .transform((map): GrantMap => map);

/** As `grantMapSchema`, for what people write: each pattern must be valid. */
export const strictGrantMapSchema = grantMapSchema.superRefine((map, context) => {
  for (const pattern of Object.keys(map)) {
    if (!isGrantPattern(pattern)) context.addIssue({ code: "custom", message: `Not a valid pattern: "${pattern}"` });
  }
});

export const appSchema = z.string().regex(/^[a-z0-9-]{1,32}$/, "1–32 characters a-z, 0-9 and -");
export const subjectSchema = text(subjectBytesMax);
export const clientSchema = text(clientBytesMax);
export const nameSchema = text(255);
export const jtiSchema = text(255);
export const connectionsSchema = z.int().min(1).max(0xffff_ffff);
/** Messages or bytes a second; 0: any number. */
export const rateSchema = z.int().min(0).max(0xffff_ffff);
export const timeMsSchema = z.int().min(0).max(timeMsMax);

/** Well-formed text of 1 … `bytesMax` bytes of UTF-8 without control characters. */
function text(bytesMax: number) {
  return z
    .string()
    .refine((value) => value.length > 0 && Buffer.byteLength(value) <= bytesMax, `1–${bytesMax} bytes`)
    .refine((value) => value.isWellFormed() && !/\p{Cc}/u.test(value), "No control characters or lone surrogates");
}
