/**
 * Bodies of `POST /v1/publish` made into messages: one payload, one message, or a batch; as JSON, text, bytes or
 * MessagePack, whose payloads are passed on as the bytes they came in.
 */
import { z } from "@hono/zod-openapi";
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { badRequest, type FieldValue, idOf } from "../../wire/check.ts";
import { Cursor } from "../../wire/cursor.ts";
import { writeBin, writeString } from "../../wire/encode.ts";
import { binaryOf, jsonToPayload } from "../../wire/json-payload.ts";
import { type WireLimits, wireLimits } from "../../wire/messages.ts";
import { readField } from "../../wire/read-fields.ts";
import { decodeUtf8 } from "../../wire/utf8.ts";
import { parseJson, parseText } from "./body.ts";
import { anythingSchema, checked, failsWith, tagSchema } from "./schemas.ts";

export const batchMax = 1000;

/** A message to publish, checked but for grants. */
export interface Outgoing {
  readonly tags: readonly string[];
  /** Whether tags were named as a list: then the answer is one too. */
  readonly several: boolean;
  readonly frame: Uint8Array;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  readonly id: string | null;
  readonly reply: string | null;
}

/** What a body held; a message that cannot be published stands as what is wrong with it. */
export interface Publications {
  readonly batch: boolean;
  readonly messages: readonly (Outgoing | ProtocolError)[];
}

export const idSchema = z
  .string()
  .refine((text) => text.isWellFormed(), failsWith(errors.malformed))
  .meta({ minLength: 1, maxLength: wireLimits.idBytesMax, example: "order-4711", description: "Idempotency id" });
const tagsMax = wireLimits.tagsPerPublishMax;
export const tagsSchema = z.array(tagSchema).min(1).max(tagsMax);

export const messageSchema = z
  .object({
    tag: tagSchema.optional(),
    tags: tagsSchema.optional().meta({ description: `In place of tag: 1–${tagsMax} tags, a copy to each` }),
    payload: anythingSchema.meta({
      description: "Any value; what JSON lacks as {$bin: base64} and the like",
      example: 21.5,
    }),
    id: z.union([idSchema, z.object({ $bin: z.string() })]).nullish(),
    reply: tagSchema.nullish().meta({ description: "Where an answer is awaited: meta.reply of the message" }),
  })
  .refine(({ tag, tags }) => (tag === undefined) !== (tags === undefined), "Name either tag or tags")
  .meta({
    id: "Message",
    oneOf: [{ required: ["tag"] }, { required: ["tags"] }],
    example: { tag: "plant/7/temp", payload: 21.5, id: "order-4711" },
  });

/** Checked message by message; here for the document. */
export const batchSchema = z
  .object({ messages: z.array(messageSchema).min(1).max(batchMax) })
  .meta({ id: "Batch", description: "Published in order, tag by tag; each succeeds or fails by itself" });

type Message = z.infer<typeof messageSchema>;

/** Levels around a payload: the batch, its list, the message. */
const envelopeDepth = 3;

interface Extent {
  readonly frame: Uint8Array;
  readonly payloadStart: number;
  readonly payloadEnd: number;
}

export class PublicationReader {
  readonly #limits: WireLimits;
  readonly #cursor: Cursor;
  readonly #depthMax: number;

  constructor(limits: WireLimits) {
    this.#limits = limits;
    this.#depthMax = limits.depthMax + envelopeDepth;
    this.#cursor = new Cursor(this.#depthMax);
  }

  /** The payload that a whole body of this type is, or null where there is no such type. @throws ProtocolError */
  payload(body: Uint8Array, type: string): Extent | null {
    const w = new ByteWriter(body.length + 8);
    switch (type) {
      case "application/json":
        return this.#checked(this.#written(parseJson(body, this.#bracketsMax)));
      case "text/plain":
        writeString(w, parseText(body));
        return this.#checked(w.view());
      case "application/octet-stream":
        writeBin(w, body);
        return this.#checked(w.view());
      default:
        return isMsgpack(type) ? this.#checked(body) : null;
    }
  }

  /** The messages of a body of this type, or null where there is no such type. @throws ProtocolError */
  messages(body: Uint8Array, type: string): Publications | null {
    if (type === "application/json") return this.#fromJson(parseJson(body, this.#bracketsMax));
    return isMsgpack(type) ? this.#fromMsgpack(body) : null;
  }

  /** A level of a payload takes up to three brackets in JSON, and an extension two more. */
  get #bracketsMax(): number {
    return envelopeDepth + 3 * this.#limits.depthMax + 2;
  }

  #fromJson(body: unknown): Publications {
    if (!isRecord(body)) throw badRequest("The body must be an object");
    if (!Object.hasOwn(body, "messages")) return { batch: false, messages: [this.#message(body)] };
    const list = body["messages"];
    if (!Array.isArray(list)) throw badRequest('"messages" must be a list');
    assertBatch(list.length);
    return { batch: true, messages: list.map((item: unknown) => refusable(() => this.#message(item))) };
  }

  #message(item: unknown): Outgoing {
    const message = checked(messageSchema, item);
    return outgoing(message, this.#checked(this.#written(message.payload)));
  }

  #written(value: unknown): Uint8Array {
    const w = new ByteWriter();
    jsonToPayload(value, w);
    return w.view();
  }

  #fromMsgpack(body: Uint8Array): Publications {
    const cursor = this.#cursor;
    try {
      cursor.load(body);
      cursor.skip(this.#depthMax);
      if (cursor.at < body.length) throw new ProtocolError(errors.malformed, "More than one value");
      cursor.load(body);
      return this.#list(body) ?? { batch: false, messages: [this.#messageAt(body)] };
    } finally {
      cursor.clear();
    }
  }

  /** A batch, or null (and the cursor at the beginning) where the body is one message. */
  #list(body: Uint8Array): Publications | null {
    const cursor = this.#cursor;
    for (let fields = cursor.mapHeader(); fields > 0; fields--) {
      if (this.#key() !== "messages") {
        cursor.skip(this.#depthMax);
        continue;
      }
      const count = cursor.arrayHeader();
      if (count < 0) throw badRequest('"messages" must be a list');
      assertBatch(count);
      return { batch: true, messages: Array.from({ length: count }, () => this.#item(body)) };
    }
    cursor.load(body);
    return null;
  }

  /** One message of a batch; the cursor stands behind it, whatever is wrong with it. */
  #item(body: Uint8Array): Outgoing | ProtocolError {
    const cursor = this.#cursor;
    const start = cursor.at;
    cursor.skip(this.#depthMax);
    const end = cursor.at;
    cursor.at = start;
    const message = refusable(() => this.#messageAt(body));
    cursor.at = end;
    return message;
  }

  #messageAt(body: Uint8Array): Outgoing {
    const cursor = this.#cursor;
    const count = cursor.mapHeader();
    if (count < 0) throw badRequest("A message is a map");
    const fields: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.#key();
      if (key === "payload") fields[key] = this.#payloadAt(body);
      else if (key === "tag" || key === "tags" || key === "reply") fields[key] = readField(cursor);
      else if (key === "id") fields[key] = idForm(readField(cursor));
      else cursor.skip(this.#depthMax);
    }
    return outgoing(checked(messageSchema, fields), fields["payload"] as Extent);
  }

  /** The key at the cursor, null where it is none that could name a field. */
  #key(): string | null {
    const cursor = this.#cursor;
    const length = cursor.stringHeader();
    if (length < 0) {
      cursor.skip(this.#depthMax);
      return null;
    }
    const start = cursor.at;
    cursor.at += length;
    return decodeUtf8(cursor.bytes, start, cursor.at);
  }

  #payloadAt(frame: Uint8Array): Extent {
    const cursor = this.#cursor;
    const payloadStart = cursor.at;
    cursor.skip(this.#limits.depthMax);
    return this.#bounded({ frame, payloadStart, payloadEnd: cursor.at });
  }

  /** `frame` is one value, within the limits. */
  #checked(frame: Uint8Array): Extent {
    this.#cursor.load(frame);
    const extent = this.#payloadAt(frame);
    this.#cursor.clear();
    if (extent.payloadEnd < frame.length) throw new ProtocolError(errors.malformed, "More than one value");
    return extent;
  }

  #bounded(extent: Extent): Extent {
    if (extent.payloadEnd - extent.payloadStart <= this.#limits.payloadMaxBytes) return extent;
    throw new ProtocolError(errors.payloadTooLarge);
  }
}

function outgoing({ tag, tags, id, reply }: Message, payload: Extent): Outgoing {
  const named = typeof id === "object" && id !== null ? binaryOf(id) : (id ?? null);
  return {
    ...payload,
    tags: tags ?? [tag as string],
    several: tags !== undefined,
    id: idOf(named),
    reply: reply ?? null,
  };
}

/** An id as JSON would have it. */
function idForm(id: FieldValue): unknown {
  return id instanceof Uint8Array ? { $bin: id.toBase64() } : id;
}

/** @throws what is not a refusal */
function refusable(make: () => Outgoing): Outgoing | ProtocolError {
  try {
    return make();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}

function assertBatch(count: number): void {
  if (count < 1 || count > batchMax) throw badRequest(`A batch has 1 to ${batchMax} messages`);
}

/** The registered name, and the two that were used before there was one. */
function isMsgpack(type: string): boolean {
  return /^application\/(x-|vnd\.)?msgpack$/.test(type);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
