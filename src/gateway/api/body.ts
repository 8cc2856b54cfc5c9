/** Bodies of requests, bounded in bytes (each, and all together), in time and in nesting before anything is made of them. */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ZodType } from "zod";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Clock } from "../../lib/clock.ts";
import { checkBrackets } from "../../wire/read-json.ts";
import { decodeUtf8 } from "../../wire/utf8.ts";
import type { ApiEnv } from "./context.ts";
import { mediaTypes } from "./context.ts";
import { checked } from "./schemas.ts";

/** A body takes a second more than the deadline for each so many bytes that it may have. */
const bytesPerSecondMin = 64 * 1024;
/** Why bodies are refused while they come: how often each happened is a metric. */
export type BodyRefusal = "late" | "large" | "full" | "encoded";

export interface BodiesOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** How long a body may take, beside what its size allows. */
  readonly bodyDeadlineMs: number;
  /** Bytes of all bodies that are being received. */
  readonly bodiesMaxBytes: number;
}

/** The bodies that are being received. */
export class Bodies {
  /** Bytes that came so far. */
  bytes = 0;
  readonly refused: Record<BodyRefusal, number> = { late: 0, large: 0, full: 0, encoded: 0 };
  readonly #options: BodiesOptions;

  constructor(options: BodiesOptions) {
    this.#options = options;
  }

  /**
   * The body of a request, of at most `bytesMax`.
   * @throws ProtocolError `payloadTooLarge`, `tooManyRequests`; HTTPException 408 where it does not come in time, 415
   */
  async read(c: Context<ApiEnv>, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
    const request = c.req.raw;
    const encoding = request.headers.get("content-encoding") ?? "identity";
    if (encoding.toLowerCase() !== "identity") throw this.#refuse(c, "encoded", encoded());
    if (Number(request.headers.get("content-length") ?? 0) > bytesMax) {
      throw this.#refuse(c, "large", tooLarge(bytesMax));
    }
    if (request.body === null) return new Uint8Array(0);
    const reader = request.body.getReader();
    let late = false;
    const { clock, bodyDeadlineMs } = this.#options;
    const deadlineMs = bodyDeadlineMs + (bytesMax / bytesPerSecondMin) * 1000;
    const cut = () => {
      late = true;
      void reader.cancel().catch(ignore);
    };
    const timer = deadlineMs === Infinity ? null : clock.after(deadlineMs, cut);
    const body = new Gathered(this);
    try {
      await this.#gather(c, { reader, body, bytesMax });
      if (late) throw this.#refuse(c, "late", new HTTPException(408, { message: "The body did not come in time" }));
      return body.whole();
    } catch (cause) {
      void reader.cancel().catch(ignore);
      if (cause instanceof ProtocolError || cause instanceof HTTPException) throw cause;
      throw new HTTPException(400, { message: "The body ended early", cause });
    } finally {
      timer?.cancel();
      body.release();
    }
  }

  async #gather(c: Context<ApiEnv>, { reader, body, bytesMax }: Gathering): Promise<void> {
    const { bodiesMaxBytes } = this.#options;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      body.add(part.value);
      if (body.bytes > bytesMax) throw this.#refuse(c, "large", tooLarge(bytesMax));
      if (this.bytes > bodiesMaxBytes) throw this.#refuse(c, "full", full());
    }
  }

  #refuse<E extends Error>(c: Context<ApiEnv>, why: BodyRefusal, error: E): E {
    this.refused[why]++;
    this.#options.log.info("body refused", { reason: why, path: c.req.path, from: c.env.client.address });
    return error;
  }
}

interface Gathering {
  readonly reader: Pick<ReadableStreamDefaultReader<Uint8Array>, "read">;
  readonly body: Gathered;
  readonly bytesMax: number;
}

/** What came of one body, counted with that of the others. */
class Gathered {
  bytes = 0;
  readonly #of: Bodies;
  #parts: Uint8Array[] = [];

  constructor(of: Bodies) {
    this.#of = of;
  }

  add(part: Uint8Array): void {
    this.#parts.push(part);
    this.bytes += part.length;
    this.#of.bytes += part.length;
  }

  whole(): Uint8Array<ArrayBuffer> {
    return Buffer.concat(this.#parts);
  }

  release(): void {
    this.#parts = [];
    this.#of.bytes -= this.bytes;
    this.bytes = 0;
  }
}

/** The JSON body of a request, checked. @throws ProtocolError; HTTPException 408, 415 */
export async function readJson<T>(
  c: Context<ApiEnv>,
  schema: ZodType<T>,
  bounds: { bytesMax: number; bracketsMax: number; bodies: Bodies },
): Promise<T> {
  if (mediaTypeOf(c) !== mediaTypes.json) throw unsupported(`The body must be ${mediaTypes.json}`);
  const body = await bounds.bodies.read(c, bounds.bytesMax);
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

function full(): ProtocolError {
  return new ProtocolError(errors.tooManyRequests, "More bodies are being received than there is room for");
}

/** What a body unpacks to could not be bounded by what comes, so none is unpacked. */
function encoded(): HTTPException {
  return unsupported("Bodies are taken as they are, without Content-Encoding");
}

function ignore(): void {
  // What broke the body off has been told where it was read.
}
