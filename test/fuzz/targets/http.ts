/**
 * Requests to the HTTP API, in process: a request line, headers, an empty line, a body. Whatever comes is answered with a
 * result or a problem document; a message that is published means what it would mean over the wire.
 */
import { openMemoryBroker } from "../../../src/broker/memory.ts";
import { MemoryTokens } from "../../../src/auth/memory-tokens.ts";
import { ProtocolError } from "../../../src/core/errors.ts";
import { liveOnly } from "../../../src/core/tag-rule.ts";
import { isTag } from "../../../src/core/tag.ts";
import { createApi } from "../../../src/gateway/api/app.ts";
import { Bodies } from "../../../src/gateway/api/body.ts";
import { type Outgoing, PublicationReader } from "../../../src/gateway/api/publications.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { Registry } from "../../../src/session/registry.ts";
import { op, type PublishMessage } from "../../../src/wire/messages.ts";
import { payloadToJson } from "../../../src/wire/json-payload.ts";
import { JsonMessageReader } from "../../../src/wire/read-json.ts";
import { rethrow } from "../../harness/clock.ts";
import { doorwayOf } from "../../harness/doorway.ts";
import { KeptLog } from "../../harness/server.ts";
import { identityOf, noRates, TestAuthenticator } from "../../harness/sessions.ts";
import { loadVectors } from "../../vectors/load.ts";
import type { Subject, Target } from "../engine.ts";
import { canonical } from "../reference.ts";

const limits = { payloadMaxBytes: 64 * 1024, depthMax: 16 } as const;
const token = "admin";
const statuses = new Set([200, 201, 204, 400, 401, 403, 404, 405, 413, 415]);
const encoder = new TextEncoder();

const json = "content-type: application/json";
const requests = [
  `POST /v1/publish\n${json}\n\n{"tag":"a/b","payload":{"x":[1,2.5,null]},"id":"i","reply":"r"}`,
  `POST /v1/publish\n${json}\n\n{"tags":["a","log/b"],"payload":{"$bin":"AAEC"},"id":{"$bin":"AAEC"}}`,
  `POST /v1/publish\n${json}\n\n{"messages":[{"tag":"a","payload":1},{"tag":"a/+","payload":2},{"tags":["x"]}]}`,
  `POST /v1/publish?tag=a&tag=log/b&id=1&reply=r\n${json}\n\n{"$map":[[1,2]]}`,
  "POST /v1/publish?tag=a\ncontent-type: text/plain\n\ntext",
  "POST /v1/publish?tag=a\ncontent-type: application/octet-stream\n\n\0\u0001",
  "POST /v1/publish?tag=a\ncontent-type: application/msgpack\n\n\u0001",
  "POST /v1/publish\ncontent-type: application/msgpack\n\n",
  "GET /v1/history?tag=log/b&since=1:0&last=5&limit=2\naccept: application/msgpack\n\n",
  "GET /v1/presence?tag=log/b\n\n",
  "GET /v1/tags?pattern=%23&after=a&limit=1\n\n",
  "GET /v1/connections?client=a&subject=b&after=1&limit=3\n\n",
  "DELETE /v1/connections/x?reconnect=true\n\n",
  `POST /v1/tokens\n${json}\n\n{"name":"n","grants":{"a/\${client}":["read"]},"deny":{"#":["admin"]},"client":"c","expiresAtMs":9e12,"connectionsMax":1}`,
  `PATCH /v1/tokens/x\n${json}\n\n{"grants":{"a":["publish"]},"expiresAtMs":null}`,
  "GET /v1/tokens?after=a&limit=1\n\n",
  "GET /metrics\n\n",
  "OPTIONS /v1/publish\norigin: https://app.example.com\n\n",
  "GET /docs/start.js\n\n",
  "GET /openapi.json\nauthorization: Bearer wrong\n\n",
];

export const httpTarget: Target = {
  name: "http",
  bytesMax: 3000,
  msMax: 400,
  words: [
    ...["/v1/publish", "/v1/tokens", "/v1/history", "/v1/connections/", "?tag=", "&tag=", "&id=", "%00", "%ff", "%2B"],
    ...[
      '"tag":',
      '"tags":',
      '"payload":',
      '"messages":[',
      '"id":',
      '"reply":',
      '"grants":',
      '"__proto__":',
      '{"$bin":"',
    ],
    ...[
      "PATCH ",
      "HEAD ",
      "PUT ",
      "\naccept: application/msgpack",
      "\ncookie: tagcast=admin",
      "\norigin: null",
      "[",
      "{",
    ],
    ...["%252e%252e/", "..;/", "constructor", "1e9", "4294967296:9007199254740991"],
  ],
  async seeds() {
    const payloads = (await loadVectors("payloads")).filter(({ msgpack }) => msgpack.length < 100);
    const bodies = payloads.filter((_, i) => i % 4 === 0);
    return [
      ...requests.map((text) => encoder.encode(text)),
      ...bodies.map(({ json: text }) => {
        const payload = text.slice('[18,"t",null,'.length, -1);
        return encoder.encode(`POST /v1/publish\n${json}\n\n{"tag":"t","payload":${payload}}`);
      }),
      ...bodies.map(({ msgpack }) =>
        Buffer.concat([
          encoder.encode("POST /v1/publish\ncontent-type: application/msgpack\n\n"),
          Uint8Array.of(0x82, 0xa3, 0x74, 0x61, 0x67, 0xa1, 0x74, 0xa7, 0x70, 0x61, 0x79, 0x6c, 0x6f, 0x61, 0x64),
          msgpack.subarray(5),
        ]),
      ),
    ];
  },
  open,
};

function open(): Subject {
  const log = new KeptLog();
  const authenticator = new TestAuthenticator();
  authenticator.known.set(token, identityOf());
  const rule = { ...liveOnly, pattern: "log/#", history: { size: 10 }, presence: true };
  const broker = openMemoryBroker({ clock: systemClock, logsMaxBytes: 1e6, logsMax: 100, idempotencyWindowMs: 1000 });
  const hub = new Hub({
    broker,
    clock: systemClock,
    applications: new Map([["main", [rule]]]),
    subscriptionsMax: 10,
    slowDeadlineMs: 1000,
    onTrouble: rethrow,
  });
  void hub.start();
  const options = {
    ...limits,
    authenticationDeadlineMs: 1000,
    pingSeconds: 25,
    server: "tagcast/test",
    rates: noRates,
  };
  const registry = new Registry({ hub, authenticator, clock: systemClock, log, options });
  const api = createApi({
    ...limits,
    hub,
    registry,
    doorway: doorwayOf({ authenticator, registry, log }, ["https://app.example.com"]),
    audit: { note() {} },
    log,
    bodies: new Bodies({ clock: systemClock, log, bodyDeadlineMs: 30_000, bodiesMaxBytes: Infinity }),
    tokens: new MemoryTokens(systemClock),
    metrics: { contentType: "text/plain", text: () => Promise.resolve(""), close: () => {} },
    control: null,
    clock: systemClock,
    version: "1",
  });
  const readers = { http: new PublicationReader(limits), wire: new JsonMessageReader(limits) };
  return {
    async run(input) {
      const asked = parse(input);
      if (asked === null) return "no request";
      const response = await api.fetch(asked.request, { client: { address: "127.0.0.1", secure: null } });
      const text = await checkAnswer(response, log, asked.request.method);
      if (asked.messageType === "application/json") compare(readers, asked.body);
      if (asked.messageType === "application/msgpack") compareForms(readers.http, asked.body);
      const path = new URL(asked.request.url).pathname.slice(0, 16);
      const code = /"code":(\d+),?/.exec(text)?.[1] ?? "";
      const detail = /"detail":"([^"]{0,40})/.exec(text)?.[1]?.replace(/\d+/g, "#") ?? "";
      return `${asked.request.method} ${response.status < 400 ? path : ""} ${response.status} ${code} ${detail}`;
    },
    close: () => registry.close(),
  };
}

interface Asked {
  readonly request: Request;
  readonly body: Uint8Array;
  /** Type of a body of messages, else null. */
  readonly messageType: string | null;
}

/** Null where no client could send it. */
function parse(input: Uint8Array): Asked | null {
  const end = Buffer.from(input.buffer, input.byteOffset, input.length).indexOf("\n\n");
  const head = Buffer.from(end < 0 ? input : input.subarray(0, end)).toString("latin1");
  const body = end < 0 ? new Uint8Array() : Uint8Array.from(input.subarray(end + 2));
  const [line = "", ...lines] = head.split("\n");
  const [method = "", target = ""] = line.split(" ");
  // The runtime has parsed targets by then.
  if (!/^[A-Z]{1,16}$/.test(method) || !/^\/[!-~]*$/.test(target)) return null;
  try {
    const headers = new Headers(lines.map((each) => split(each)));
    if (!headers.has("authorization") && !headers.has("cookie")) headers.set("authorization", `Bearer ${token}`);
    const hasBody = method !== "GET" && method !== "HEAD";
    const request = new Request(`http://127.0.0.1${target}`, { method, headers, ...(hasBody && { body }) });
    const isMessage = method === "POST" && target === "/v1/publish";
    return { request, body, messageType: isMessage ? headers.get("content-type") : null };
  } catch {
    return null;
  }
}

function split(line: string): [string, string] {
  const at = line.indexOf(":");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1).trim()];
}

async function checkAnswer(response: Response, log: KeptLog, method: string): Promise<string> {
  const { status, headers } = response;
  const text = Buffer.from(await response.bytes()).toString("latin1");
  const faults = log.entries.filter(({ level }) => level === "error").map(({ fields }) => fields["error"]);
  log.entries.length = 0;
  if (!statuses.has(status)) {
    const [fault] = faults;
    throw new Error(`Answered ${status}: ${fault instanceof Error ? fault.stack : text.slice(0, 500)}`);
  }
  if (faults.length > 0) throw new Error(`Logged a fault: ${String(faults[0])}`);
  const type = headers.get("content-type") ?? "";
  if (status >= 400 && method !== "HEAD") {
    const problem = JSON.parse(Buffer.from(text, "latin1").toString()) as { status?: unknown; code?: unknown };
    if (type !== "application/problem+json" || problem.status !== status || typeof problem.code !== "number")
      throw new Error(`No problem document: ${status} ${text.slice(0, 200)}`);
  }
  if (headers.get("x-content-type-options") !== "nosniff") throw new Error(`No nosniff with ${status}`);
  return text;
}

/** One message in a body of JSON, and the same over the wire: accepted by both with the same bytes, or by neither. */
function compare(readers: { readonly http: PublicationReader; readonly wire: JsonMessageReader }, body: Uint8Array) {
  const parsed = parsedOf(body);
  if (parsed === null) return;
  const { tag, tags, payload, id, reply } = parsed;
  if ((tag === undefined) === (tags === undefined) || "messages" in parsed) return;
  const http = attempt(() => readers.http.messages(body, "application/json")?.messages[0] as Outgoing);
  const line = JSON.stringify([op.publish, 1, tag ?? tags, payload, { id, reply }], asRead);
  const wire = attempt(() => {
    readers.wire.load(line);
    return readers.wire.next() as PublishMessage;
  });
  const names: readonly unknown[] = tags === undefined ? [tag] : (tags as unknown[]);
  const isWellNamed = Array.isArray(names) && names.every((name) => typeof name === "string" && isTag(name));
  const accepted = wire !== null && isWellNamed && Object.hasOwn(parsed, "payload");
  if ((http !== null) !== accepted) throw new Error(`HTTP and wire differ on ${line}: ${http !== null} ${accepted}`);
  if (http === null || wire === null) return;
  const mine = [bytesOf(http), http.id, http.reply];
  const theirs = [bytesOf(wire), wire.options?.id ?? null, wire.options?.reply ?? null];
  if (!Bun.deepEquals(mine, theirs)) throw new Error(`HTTP and wire differ on ${line}:\n${mine}\n${theirs}`);
}

/** Numbers that JSON can be read as, and not be written with. */
function asRead(_: string, value: unknown): unknown {
  // The types do not know it yet.
  const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };
  if (Object.is(value, -0)) return rawJSON("-0");
  return value === Infinity || value === -Infinity ? rawJSON(`${value < 0 ? "-" : ""}1e999`) : value;
}

/** One message in a body of MessagePack, and the same as JSON. */
function compareForms(reader: PublicationReader, body: Uint8Array): void {
  const publications = attempt(() => reader.messages(body, "application/msgpack"));
  const [message] = publications?.messages ?? [];
  if (publications?.batch !== false || message === undefined || message instanceof ProtocolError) return;
  const { frame, payloadStart, payloadEnd, tags, several, id, reply } = message;
  const name = several ? { tags } : { tag: tags[0] };
  // An id of bytes is kept as latin1; as text it may be too long.
  const idForm = id !== null && Buffer.byteLength(id) > 32 ? { $bin: Buffer.from(id, "latin1").toBase64() } : id;
  const head = JSON.stringify({ ...name, id: idForm, reply });
  const text = `${head.slice(0, -1)},"payload":${payloadToJson(frame, payloadStart, payloadEnd)}}`;
  const again = attempt(() => reader.messages(encoder.encode(text), "application/json")?.messages[0] as Outgoing);
  if (again === null) throw new Error(`As JSON it is refused: ${text}`);
  const [mine, theirs] = [message, again].map((each) => {
    return [canonical(each.frame.slice(each.payloadStart, each.payloadEnd)), each.tags, each.id, each.reply];
  });
  if (!Bun.deepEquals(mine, theirs)) throw new Error(`As JSON it means something else: ${text}`);
}

function bytesOf(extent: { frame: Uint8Array; payloadStart: number; payloadEnd: number }): string {
  return Buffer.from(extent.frame.subarray(extent.payloadStart, extent.payloadEnd)).toString("hex");
}

function parsedOf(body: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : null;
  } catch {
    return null;
  }
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}
