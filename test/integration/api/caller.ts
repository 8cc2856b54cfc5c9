/** Requests to the HTTP API of a server, with a token or without, and what they were answered. */
import { adminToken } from "../../harness/server.ts";

export interface Call {
  readonly method?: string;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly body?: NonNullable<RequestInit["body"]>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  /** Parsed where it is JSON, else null. */
  readonly body: unknown;
}

/** Parts of the query of a URL; lists are repeated. */
export type Query = Readonly<Record<string, string | number | readonly string[]>>;

export function pathWith(path: string, query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? (value as string[]) : [String(value)]) search.append(name, each);
  }
  return `${path}?${search}`;
}

export class Caller {
  readonly #base: string;
  readonly #token: string | null;

  /** `token` null: without a credential. */
  constructor(server: { readonly http: string }, token: string | null = adminToken) {
    this.#base = server.http;
    this.#token = token;
  }

  async call(path: string, { method, json, body, headers }: Call = {}): Promise<Answered> {
    const response = await fetch(this.#base + path, {
      method: method ?? (json === undefined && body === undefined ? "GET" : "POST"),
      headers: {
        ...(this.#token !== null && { authorization: `Bearer ${this.#token}` }),
        ...(json !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      redirect: "manual",
      ...((json !== undefined || body !== undefined) && { body: body ?? JSON.stringify(json) }),
    });
    const bytes = await response.bytes();
    const isJson = /^application\/(problem\+)?json/.test(response.headers.get("content-type") ?? "");
    const text = new TextDecoder().decode(bytes);
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      body: isJson && text !== "" ? JSON.parse(text) : null,
    };
  }

  get(path: string, query: Query = {}): Promise<Answered> {
    return this.call(pathWith(path, query));
  }

  publish(json: unknown, query: Query = {}): Promise<Answered> {
    return this.call(pathWith("/v1/publish", query), { json });
  }

  /** `[status, code]` of a problem document. */
  async problem(path: string, call: Call = {}): Promise<readonly [status: number, code: unknown]> {
    return problemOf(await this.call(path, call));
  }
}

/** `[status, code]` of an answer, checked to be a problem document that says the same. */
export function problemOf({ status, headers, body }: Answered): readonly [status: number, code: unknown] {
  const told = body as { status?: unknown; code?: unknown; detail?: unknown; title?: unknown } | null;
  const sound =
    headers.get("content-type") === "application/problem+json" &&
    told?.status === status &&
    typeof told.detail === "string" &&
    typeof told.title === "string";
  if (!sound) throw new Error(`No problem document: ${status} ${JSON.stringify(body)}`);
  return [status, told.code];
}
