/** The OpenAPI document against the server: requests made from it, good, bad and unauthorised, and what they are answered. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { createApi } from "../../../src/gateway/api/app.ts";
import type { ApiParts } from "../../../src/gateway/api/context.ts";
import { Origins } from "../../../src/gateway/origins.ts";
import { adminToken, startServer, type TestServer } from "../../harness/server.ts";
import type { WireClient } from "../../harness/wire-client.ts";
import { Caller } from "./caller.ts";
import { ApiDocument, badBodies, badTexts, type JsonSchema, type Operation, type Parameter } from "./document.ts";

const toml = `
[[tags]]
pattern = "#"
history = { size = 10 }
presence = true
`;
/** Answered by the gateway before the API is asked. */
const beside = ["GET /events", "GET /healthz", "GET /readyz"];

const api = createApi({
  payloadMaxBytes: 1024,
  depthMax: 8,
  doorway: { origins: new Origins([]) },
  version: "1",
} as unknown as ApiParts);
const document = new ApiDocument(await (await api.request("/openapi.json")).json());
const { operations } = document;

let server: TestServer;
let powerless: string;
const clients: WireClient[] = [];

beforeAll(async () => {
  server = await startServer({ toml });
  powerless = await createToken({ "none/of/it": ["subscribe"] }).then(({ secret }) => secret);
});
afterAll(async () => {
  for (const client of clients) await client[Symbol.asyncDispose]();
  await server.stop();
});

async function createToken(grants: object = {}): Promise<{ id: string; secret: string }> {
  const { body } = await new Caller(server).call("/v1/tokens", { json: { name: "made for a test", grants } });
  const { token, secret } = body as { token: { id: string }; secret: string };
  return { id: token.id, secret };
}

/** Things that there are: one of its own for each request, which may end it. */
const living: Readonly<Record<string, () => Promise<string>>> = {
  "/v1/connections/{id}": async () => {
    const client = await server.connect();
    clients.push(client);
    return client.welcome["session"] as string;
  },
  "/v1/tokens/{id}": async () => (await createToken()).id,
  "/v1/revocations/{id}": async () => {
    const { body } = await new Caller(server).call("/v1/revocations", { json: { jti: "of a test" } });
    return (body as { id: string }).id;
  },
};

interface Sent {
  readonly query: ReadonlyMap<string, string>;
  readonly type?: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

interface Got {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function send(
  operation: Operation,
  { query, type, body }: Sent,
  token: string | null,
  id?: string,
): Promise<Got> {
  const name = /\{(\w+)\}/.exec(operation.path)?.[1];
  const parameter = operation.parameters?.find((each) => each.name === name);
  const segment = id ?? (await living[operation.path]?.()) ?? String(document.exampleOf(parameter?.schema ?? {}));
  const path = operation.path.replace(/\{\w+\}/, encodeURIComponent(segment));
  const response = await fetch(`${server.http}${path}?${new URLSearchParams([...query])}`, {
    method: operation.method,
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(type !== undefined && { "content-type": type }),
    },
    ...(body !== undefined && { body }),
  });
  const given = response.headers.get("content-type") ?? "";
  // A stream has no end: that it began is its answer.
  const isStream = given.startsWith("text/event-stream");
  if (isStream) await response.body?.cancel();
  return { status: response.status, type: given, text: isStream ? "" : await response.text() };
}

/** Fails unless the document says that the operation answers like this. */
function expectDocumented(operation: Operation, { status, type, text }: Got): void {
  const response = operation.responses[status];
  expect({ status, documented: response !== undefined }).toEqual({ status, documented: true });
  const [mediaType = ""] = type.split(";");
  if (response?.content === undefined) return expect(text).toBe("");
  expect(Object.keys(response.content)).toContain(mediaType);
  const schema = response.content[mediaType]?.schema;
  if (schema !== undefined && mediaType.endsWith("json"))
    expect(document.problemWith(schema, JSON.parse(text))).toBeNull();
}

/** The schemas that a JSON body may have. */
function variants(schema: JsonSchema): readonly JsonSchema[] {
  const resolved = document.resolve(schema);
  return resolved.anyOf ?? [resolved];
}

function queryOf(parameters: readonly Parameter[]): Map<string, string> {
  const asked = parameters.filter((parameter) => parameter.in === "query");
  return new Map(asked.map(({ name, schema }) => [name, String(document.exampleOf(schema))]));
}

/** Requests that are to succeed: with as few and with as many parameters as there are, with each kind of body. */
function goodRequests({ parameters = [], requestBody }: Operation): readonly Sent[] {
  const few = queryOf(parameters.filter((parameter) => parameter.required));
  const all = queryOf(parameters);
  if (requestBody === undefined) return [{ query: few }, { query: all }];
  return Object.entries(requestBody.content).flatMap(([type, { schema }]): Sent[] => {
    if (type === "application/json") {
      const values = variants(schema).map((variant) => document.exampleOf(variant));
      const bodies = values.filter((value) => typeof value === "object").map((value) => JSON.stringify(value));
      return bodies.flatMap((body) => [few, all].map((query) => ({ query, type, body })));
    }
    if (type === "application/msgpack") {
      const json = requestBody.content["application/json"]?.schema ?? {};
      const values = variants(json).map((variant) => document.exampleOf(variant));
      return values.map((value) => ({ query: typeof value === "object" ? few : all, type, body: encode(value) }));
    }
    return [{ query: all, type, body: "any bytes" }];
  });
}

const nameOf = ({ method, path }: Operation) => `${method} ${path}`;
const named = operations.map((operation) => [nameOf(operation), operation] as const);
const guarded = named.filter(([, { security }]) => security !== undefined);

test("every route is in the document, and everything in it is a route", () => {
  const routes = api.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  expect(new Set(named.map(([name]) => name))).toEqual(new Set([...routes, ...beside]));
  expect(named.length).toBeGreaterThan(14);
});

test("the document of the server is this one", async () => {
  const response = await fetch(`${server.http}/openapi.json`);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(new ApiDocument(await response.json()).operations).toEqual(operations);
});

test("every operation has a name of its own, a summary, and a word on each parameter", () => {
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  for (const { summary, parameters = [], path } of operations) {
    expect(summary).not.toBe("");
    const silent = parameters.filter(({ description }) => description === undefined);
    expect({ path, silent: silent.map(({ name }) => name) }).toEqual({ path, silent: [] });
  }
});

test("answers that are not as described would be found", () => {
  const list = operations.find(({ operationId }) => operationId === "listTokens");
  const schema = list?.responses[200]?.content?.["application/json"]?.schema ?? {};
  expect(document.problemWith(schema, { tokens: [], more: false })).toBeNull();
  for (const wrong of [{ tokens: 5, more: false }, { tokens: [] }, { tokens: [{ id: 5 }], more: false }, []]) {
    expect(document.problemWith(schema, wrong)).not.toBeNull();
  }
});

describe("good requests", () => {
  test.each(named)("%s", async (_, operation) => {
    const requests = goodRequests(operation);
    expect(requests.length).toBeGreaterThan(0);
    for (const request of requests) {
      const got = await send(operation, request, operation.security === undefined ? null : adminToken);
      expect({ request, got, ok: [200, 201, 204].includes(got.status) }).toMatchObject({ ok: true });
      expectDocumented(operation, got);
    }
  });
});

describe("bad requests", () => {
  const withQuery = named.filter(([, { parameters = [] }]) => parameters.some((each) => each.in === "query"));
  test.each(withQuery)("%s refuses what a parameter does not allow", async (_, operation) => {
    const [good] = goodRequests(operation) as [Sent];
    const wrongs = (operation.parameters ?? []).flatMap((parameter) => {
      if (parameter.in !== "query") return [];
      const texts: (string | null)[] = badTexts(parameter.schema);
      return [...texts, ...(parameter.required ? [null] : [])].map((text) => [parameter.name, text] as const);
    });
    for (const [name, text] of wrongs) {
      const query = new Map(good.query);
      if (text === null) query.delete(name);
      else query.set(name, text);
      const got = await send(operation, { ...good, query }, adminToken);
      expect({ name, text, status: got.status }).toEqual({ name, text, status: 400 });
      expectDocumented(operation, got);
    }
  });

  const withPath = guarded.filter(([name]) => name.includes("{"));
  test.each(withPath)("%s knows nothing by a wrong name", async (_, operation) => {
    for (const request of goodRequests(operation)) {
      const got = await send(operation, request, adminToken, "no-such-thing");
      expect(got.status).toBe(404);
      expectDocumented(operation, got);
    }
  });

  const withBody = named.filter(([, { requestBody }]) => requestBody !== undefined);
  test.each(withBody)("%s refuses bodies that are not as described", async (_, operation) => {
    const type = "application/json";
    const query = queryOf((operation.parameters ?? []).filter((parameter) => parameter.required));
    const described = variants(operation.requestBody?.content[type]?.schema ?? {});
    const bodies = described.flatMap((schema) => {
      const good = document.exampleOf(schema);
      return typeof good === "object" ? badBodies(schema, good as Record<string, unknown>) : [];
    });
    expect(bodies.length).toBeGreaterThan(4);
    for (const [what, body] of [...bodies, ["a list", []], ["nothing", null]] as const) {
      const got = await send(operation, { query, type, body: JSON.stringify(body) }, adminToken);
      expect({ what, body, status: got.status }).toEqual({ what, body, status: 400 });
      expectDocumented(operation, got);
    }
    const others = [
      [{ query, type, body: "{" }, 400],
      [{ query, type, body: "" }, 400],
      [{ query, type: "image/png", body: "x" }, 415],
      [{ query, type, body: " ".repeat(3 * 1024 ** 2) }, 413],
    ] as const;
    for (const [request, status] of others) {
      const got = await send(operation, request, adminToken);
      expect(got.status).toBe(status);
      expectDocumented(operation, got);
    }
  });
});

describe("unauthorised requests", () => {
  test.each(guarded)(
    "%s is refused without a credential, with a wrong one, and without the grant",
    async (_, operation) => {
      const tokens = [
        [null, 401],
        ["wrong", 401],
        // Whoever has a credential may have it kept.
        [powerless, operation.path === "/login" ? 200 : 403],
      ] as const;
      const request = goodRequests(operation).find(({ type }) => type !== "application/msgpack") ?? {
        query: new Map(),
      };
      for (const [token, status] of tokens) {
        const got = await send(operation, request, token);
        expect({ token, status: got.status }).toEqual({ token, status });
        expectDocumented(operation, got);
      }
    },
  );

  test("only documentation, health and logging out need no credential", () => {
    const open = named.filter(([, { security }]) => security === undefined).map(([name]) => name);
    expect(open).toEqual([
      "POST /logout",
      "GET /docs",
      "GET /docs/{file}",
      "GET /healthz",
      "GET /readyz",
      "GET /openapi.json",
    ]);
  });
});
