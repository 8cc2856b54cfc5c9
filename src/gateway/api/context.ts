/** What the routes of the HTTP API share: their parts, the caller's identity, and how results are written. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { accepts } from "hono/accepts";
import type { Audit } from "../../core/audit.ts";
import type { Identity } from "../../core/identity.ts";
import type { Logger } from "../../core/logger.ts";
import type { Control } from "../../core/shared.ts";
import type { TokenStore } from "../../core/token-store.ts";
import type { Hub } from "../../hub/hub.ts";
import type { Clock } from "../../lib/clock.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { Bodies } from "./body.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { Registry } from "../../session/registry.ts";
import { writeValue } from "../../wire/encode.ts";
import type { ResultValue } from "../../wire/messages.ts";
import { renderValue } from "../../wire/write-json.ts";
import type { Client } from "../client-address.ts";
import type { Audited } from "./audit.ts";
import type { Doorway, Presented } from "../doorway.ts";

export interface ApiParts {
  readonly hub: Hub;
  readonly registry: Registry;
  readonly doorway: Doorway;
  readonly audit: Audit;
  readonly tokens: TokenStore;
  readonly metrics: Metrics;
  /** Words to other instances; null: there are none. */
  readonly control: Control | null;
  readonly clock: Clock;
  readonly bodies: Bodies;
  readonly log: Logger;
  readonly payloadMaxBytes: number;
  readonly depthMax: number;
  /** For the OpenAPI document. */
  readonly version: string;
}

export interface ApiEnv {
  Bindings: {
    /** Where the request comes from. */
    readonly client: Client;
  };
  Variables: {
    /** Whom the credential speaks for; behind the guard alone. */
    identity: Identity;
    /** Also where it was not valid. */
    presented: Presented;
    /** For the audit log. */
    audited: Audited;
  };
}

export type Api = OpenAPIHono<ApiEnv>;
export type Guard = MiddlewareHandler<ApiEnv>;

/** What a file of routes is handed: `guard` lets in who has a credential, `admin` who administers the application. */
export interface RouteParts extends ApiParts {
  readonly guard: Guard;
  readonly admin: Guard;
}

export const mediaTypes = { json: "application/json", msgpack: "application/msgpack" } as const;

/** A result as JSON, or as MessagePack where the client prefers that. */
export function answer(c: Context<ApiEnv>, result: ResultValue, status: 200 | 201 | 202 = 200): Response {
  const type = accepts(c, { header: "Accept", supports: Object.values(mediaTypes), default: mediaTypes.json });
  const body = type === mediaTypes.msgpack ? encoded(result) : `${renderValue(result)}\n`;
  return c.body(body, status, { "content-type": type, vary: "Accept" });
}

function encoded(result: ResultValue): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter();
  writeValue(w, result);
  return w.copy() as Uint8Array<ArrayBuffer>;
}
