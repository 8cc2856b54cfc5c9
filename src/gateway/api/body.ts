/** Bodies of requests, bounded in bytes, in time and in nesting before anything is made of them. */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ZodType } from "zod";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Clock } from "../../lib/clock.ts";
import { checkBrackets } from "../../wire/read-json.ts";
import { decodeUtf8 } from "../../wire/utf8.ts";
import type { ApiEnv } from "./context.ts";
import { mediaTypes } from "./context.ts";
import { checked } from "./schemas.ts";

/** A body takes at most this long, and a second more for each so many bytes that it may have. */
const deadlineMs = 30_000;
const bytesPerSecondMin = 64 * 1024;

/**
 * The body of a request, of at most `bytesMax`.
 * @throws ProtocolError `payloadTooLarge`; HTTPException 408 where it does not come in time
 */
export async function readBody(request: Request, bytesMax: number, clock: Clock): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const chunks: Uint8Array[] = [];
  if (request.body === null) return Buffer.concat(chunks);
  const reader = request.body.getReader();
  let late = false;
  const timer = clock.after(deadlineMs + (bytesMax / bytesPerSecondMin) * 1000, () => {
    late = true;
    void reader.cancel().catch(ignore);
  });
  try {
    let bytes = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.length;
      if (bytes > bytesMax) break;
      chunks.push(part.value);
    }
    if (bytes > bytesMax) throw tooLarge(bytesMax);
  } catch (cause) {
    void reader.cancel().catch(ignore);
    if (cause instanceof ProtocolError) throw cause;
    throw new HTTPException(400, { message: "The body ended early", cause });
  } finally {
    timer.cancel();
  }
  if (late) throw new HTTPException(408, { message: "The body did not come in time" });
  return Buffer.concat(chunks);
}

/** The JSON body of a request, checked. @throws ProtocolError; HTTPException 408, 415 */
export async function readJson<T>(
  c: Context<ApiEnv>,
  schema: ZodType<T>,
  bounds: { bytesMax: number; bracketsMax: number; clock: Clock },
): Promise<T> {
  if (mediaTypeOf(c) !== mediaTypes.json) throw unsupported(`The body must be ${mediaTypes.json}`);
  const body = await readBody(c.req.raw, bounds.bytesMax, bounds.clock);
  return checked(schema, parseJson(body, bounds.bracketsMax));
}

/** What the body is said to be, without parameters; bytes where nothing is said. */
export function mediaTypeOf(c: Context<ApiEnv>): string {
  const [type = ""] = (c.req.header("content-type") ?? "").split(";");
  return type.trim().toLowerCase() || "application/octet-stream";
}

export function unsupported(message: string): HTTPException {
  return new HTTPException(415, { message });
}

/** The JSON value that a body is. @throws ProtocolError `malformed`, `tooDeep` */
export function parseJson(body: Uint8Array, bracketsMax: number): unknown {
  const text = parseText(body);
  checkBrackets(text, bracketsMax);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError(errors.malformed, "The body is not JSON", { cause });
  }
}

/** @throws ProtocolError `malformed` */
export function parseText(body: Uint8Array): string {
  const text = decodeUtf8(body, 0, body.length);
  if (text === null) throw new ProtocolError(errors.malformed, "The body is not well-formed UTF-8");
  return text;
}

function tooLarge(bytesMax: number): ProtocolError {
  return new ProtocolError(errors.payloadTooLarge, `The body has more than ${bytesMax} bytes`);
}

function ignore(): void {
  // What broke the body off has been told where it was read.
}
