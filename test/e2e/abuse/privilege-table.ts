/**
 * Who may do what, written by hand from docs/protocol.md and docs/http.md: what each op and each route needs, and what each
 * credential grants. Nothing here comes from the code under test, so that both have to be wrong in the same way.
 */

/** Where the matrix acts: a tag of its own and one of somebody else, patterns, and the server's own tags. */
export const places = { tag: "own/c/x", elsewhere: "theirs/x", pattern: "own/#", everything: "#" } as const;
export type Place = keyof typeof places;
export type Right = "subscribe" | "publish" | "history" | "presence" | "admin";

/** `publish tag`: that right there. `never`: nobody may. `main`: for application `main` alone. */
export type Need = `${Right} ${Place}` | "never" | "main";

export interface WireRow {
  readonly name: string;
  readonly op: number;
  /** Behind op and ref. */
  readonly fields: readonly unknown[];
  readonly needs: readonly Need[];
  /** Code that the request is refused with where it is allowed, as there is nothing to do. */
  readonly passes?: number;
  /** Also without a credential. */
  readonly open?: true;
}

const since = [1, 0];
const system = "$SYS/x";

/** `fields` may hold `token`, for which the caller's own stands. */
export const wireRows: readonly WireRow[] = [
  { name: "connect", op: 1, fields: [], needs: [] },
  { name: "subscribe to a tag", op: 2, fields: [places.tag], needs: ["subscribe tag"] },
  { name: "subscribe to another tag", op: 2, fields: [places.elsewhere], needs: ["subscribe elsewhere"] },
  { name: "subscribe to a pattern", op: 2, fields: [places.pattern], needs: ["subscribe pattern"] },
  { name: "subscribe to everything", op: 2, fields: [places.everything], needs: ["subscribe everything"] },
  { name: "recover a tag", op: 2, fields: [places.tag, { since }], needs: ["subscribe tag", "history tag"] },
  { name: "begin in the past", op: 2, fields: [places.tag, { last: 1 }], needs: ["subscribe tag", "history tag"] },
  {
    name: "recover a pattern",
    op: 2,
    fields: [places.pattern, { since: {} }],
    needs: ["subscribe pattern", "history pattern"],
  },
  { name: "watch presence", op: 2, fields: [places.tag, { presence: true }], needs: ["subscribe tag", "presence tag"] },
  { name: "subscribe to a system tag", op: 2, fields: [system], needs: ["never"] },
  { name: "subscribe to system tags", op: 2, fields: ["$SYS/#"], needs: ["never"] },
  { name: "subscribe to another's replies", op: 2, fields: [`$reply/${"0".repeat(32)}/#`], needs: ["never"] },
  { name: "unsubscribe", op: 3, fields: [places.tag], needs: [], passes: 112 },
  { name: "publish", op: 4, fields: [places.tag, 1], needs: ["publish tag"] },
  { name: "publish elsewhere", op: 4, fields: [places.elsewhere, 1], needs: ["publish elsewhere"] },
  {
    name: "publish to both",
    op: 4,
    fields: [[places.tag, places.elsewhere], 1],
    needs: ["publish tag", "publish elsewhere"],
  },
  { name: "publish to a system tag", op: 4, fields: [system, 1], needs: ["never"] },
  { name: "publish to what only looks like a reply", op: 4, fields: ["$reply/x", 1], needs: ["never"] },
  { name: "read history", op: 5, fields: [places.tag], needs: ["history tag"] },
  { name: "read history elsewhere", op: 5, fields: [places.elsewhere], needs: ["history elsewhere"] },
  { name: "read a system tag's history", op: 5, fields: [system], needs: ["never"] },
  { name: "list members", op: 6, fields: [places.tag], needs: ["presence tag"] },
  { name: "list members elsewhere", op: 6, fields: [places.elsewhere], needs: ["presence elsewhere"] },
  { name: "list a system tag's members", op: 6, fields: [system], needs: ["never"] },
  { name: "refresh", op: 7, fields: ["token"], needs: [] },
  { name: "ping", op: 9, fields: [], needs: [], open: true },
];

export interface RouteRow {
  /** As the OpenAPI document has it: `GET /v1/tags`. */
  readonly route: string;
  /** Path and query of the request. */
  readonly path: string;
  readonly json?: unknown;
  readonly needs: readonly Need[] | "no credential";
  /** Status of who is allowed; default 200. */
  readonly status?: number;
}

const query = (parts: Readonly<Record<string, string>>) => new URLSearchParams(parts).toString();
const allAdmin: readonly Need[] = ["admin everything"];
const draft = { name: "made by the matrix", grants: {} };

export const routeRows: readonly RouteRow[] = [
  {
    route: "POST /v1/publish",
    path: "/v1/publish",
    json: { tag: places.tag, payload: 1 },
    needs: ["publish tag"],
  },
  {
    route: "POST /v1/publish",
    path: "/v1/publish",
    json: { tag: places.elsewhere, payload: 1 },
    needs: ["publish elsewhere"],
  },
  { route: "POST /v1/publish", path: `/v1/publish?${query({ tag: system })}`, json: 1, needs: ["never"] },
  { route: "GET /v1/history", path: `/v1/history?${query({ tag: places.tag })}`, needs: ["history tag"] },
  { route: "GET /v1/history", path: `/v1/history?${query({ tag: system })}`, needs: ["never"] },
  { route: "GET /v1/presence", path: `/v1/presence?${query({ tag: places.tag })}`, needs: ["presence tag"] },
  { route: "GET /v1/presence", path: `/v1/presence?${query({ tag: system })}`, needs: ["never"] },
  { route: "GET /v1/tags", path: "/v1/tags", needs: allAdmin },
  { route: "GET /v1/tags", path: `/v1/tags?${query({ pattern: places.pattern })}`, needs: ["admin pattern"] },
  { route: "GET /v1/tags", path: `/v1/tags?${query({ pattern: "$reply/#" })}`, needs: ["never"] },
  { route: "GET /v1/connections", path: "/v1/connections", needs: allAdmin },
  { route: "GET /v1/connections/{id}", path: "/v1/connections/none", needs: allAdmin, status: 404 },
  { route: "DELETE /v1/connections/{id}", path: "/v1/connections/none", needs: allAdmin, status: 404 },
  { route: "DELETE /v1/connections", path: "/v1/connections?subject=none", needs: allAdmin },
  { route: "GET /v1/tokens", path: "/v1/tokens", needs: allAdmin },
  { route: "POST /v1/tokens", path: "/v1/tokens", json: draft, needs: allAdmin, status: 201 },
  { route: "GET /v1/tokens/{id}", path: "/v1/tokens/none", needs: allAdmin, status: 404 },
  { route: "PATCH /v1/tokens/{id}", path: "/v1/tokens/none", json: {}, needs: allAdmin, status: 404 },
  { route: "DELETE /v1/tokens/{id}", path: "/v1/tokens/none", needs: allAdmin, status: 404 },
  { route: "GET /v1/revocations", path: "/v1/revocations", needs: allAdmin },
  { route: "POST /v1/revocations", path: "/v1/revocations", json: { jti: "of nobody" }, needs: allAdmin, status: 201 },
  { route: "DELETE /v1/revocations/{id}", path: "/v1/revocations/none", needs: allAdmin, status: 404 },
  { route: "GET /events", path: "/events?tags=own/c/x", needs: ["subscribe tag"] },
  { route: "GET /events", path: "/events?tags=own/%23", needs: ["subscribe pattern"] },
  { route: "GET /events", path: "/events?tags=own/c/x&last=1", needs: ["subscribe tag", "history tag"] },
  { route: "GET /events", path: `/events?${query({ tags: system })}`, needs: ["never"] },
  { route: "GET /metrics", path: "/metrics", needs: ["admin everything", "main"] },
  { route: "GET /login", path: "/login", needs: [] },
  { route: "POST /login", path: "/login", needs: [] },
  { route: "POST /logout", path: "/logout", needs: "no credential", status: 204 },
  { route: "GET /healthz", path: "/healthz", needs: "no credential" },
  { route: "GET /readyz", path: "/readyz", needs: "no credential" },
  { route: "GET /openapi.json", path: "/openapi.json", needs: "no credential" },
  { route: "GET /docs", path: "/docs", needs: "no credential" },
  { route: "GET /docs/{file}", path: "/docs/start.js", needs: "no credential" },
];

export interface Holder {
  readonly name: string;
  readonly app?: "other";
  readonly client?: string;
  readonly grants: Readonly<Record<string, readonly string[]>>;
  readonly deny?: Readonly<Record<string, readonly string[]>>;
  /** What it may, right by right: the places. */
  readonly may: Readonly<Partial<Record<Right, readonly Place[]>>>;
}

const own: readonly Place[] = ["tag", "pattern"];
const all: readonly Place[] = ["tag", "elsewhere", "pattern", "everything"];
const everything = { subscribe: all, publish: all, history: all, presence: all, admin: all };

/** Each of them as a JWT and as a managed token. */
export const holders: readonly Holder[] = [
  { name: "no grants", grants: {}, may: {} },
  { name: "subscribe only", grants: { "own/#": ["subscribe"] }, may: { subscribe: own } },
  { name: "publish only", grants: { "own/#": ["publish"] }, may: { publish: own } },
  { name: "history only", grants: { "own/#": ["history"] }, may: { history: own } },
  { name: "presence only", grants: { "own/#": ["presence"] }, may: { presence: own } },
  { name: "admin of a part only", grants: { "own/#": ["admin"] }, may: { admin: own } },
  { name: "admin only", grants: { "#": ["admin"] }, may: { admin: all } },
  { name: "read", grants: { "own/#": ["read"] }, may: { subscribe: own, history: own, presence: own } },
  {
    name: "readwrite on everything",
    grants: { "#": ["readwrite"] },
    may: { subscribe: all, history: all, presence: all, publish: all },
  },
  {
    name: "two halves that no grant covers as a whole",
    grants: { "own/+/x": ["readwrite"], "own/c/#": ["readwrite"] },
    may: { subscribe: ["tag"], publish: ["tag"], history: ["tag"], presence: ["tag"] },
  },
  {
    name: "a denied tag",
    grants: { "#": ["readwrite", "admin"] },
    deny: { "own/c/x": ["readwrite", "admin"] },
    may: {
      subscribe: ["elsewhere"],
      publish: ["elsewhere"],
      history: ["elsewhere"],
      presence: ["elsewhere"],
      admin: ["elsewhere"],
    },
  },
  {
    name: "a denied publish",
    grants: { "#": ["readwrite"] },
    deny: { "own/#": ["publish"] },
    may: { subscribe: all, history: all, presence: all, publish: ["elsewhere"] },
  },
  {
    name: "a denied pattern beside",
    grants: { "#": ["readwrite", "admin"] },
    deny: { "theirs/#": ["read", "admin"] },
    may: { subscribe: own, history: own, presence: own, admin: own, publish: all },
  },
  {
    name: "a template of its own client",
    client: "c",
    grants: { "own/${client}/#": ["readwrite"] },
    may: { subscribe: ["tag"], publish: ["tag"], history: ["tag"], presence: ["tag"] },
  },
  { name: "a template of another client", client: "d", grants: { "own/${client}/#": ["readwrite"] }, may: {} },
  { name: "a template that is a wildcard", client: "+", grants: { "own/${client}/#": ["readwrite"] }, may: {} },
  { name: "a template that climbs", client: "c/x", grants: { "own/${client}": ["readwrite"] }, may: {} },
  {
    name: "a template without a client",
    grants: { "own/${client}/#": ["readwrite"], "theirs/#": ["publish"] },
    may: { publish: ["elsewhere"] },
  },
  {
    name: "a denial by a template that cannot be filled",
    grants: { "#": ["readwrite"] },
    deny: { "own/${client}/#": ["readwrite"] },
    may: {
      subscribe: ["elsewhere"],
      publish: ["elsewhere"],
      history: ["elsewhere"],
      presence: ["elsewhere"],
    },
  },
  { name: "everything", grants: { "#": ["readwrite", "admin"] }, may: everything },
  { name: "everything of another application", app: "other", grants: { "#": ["readwrite", "admin"] }, may: everything },
  { name: "system tags by name", grants: { "$SYS/#": ["readwrite", "admin"], "$reply/#": ["readwrite"] }, may: {} },
];

/** Whether `holder` has all that is needed. */
export function mayAll(holder: Holder, needs: readonly Need[]): boolean {
  return needs.every((need) => {
    if (need === "never") return false;
    if (need === "main") return holder.app === undefined;
    const [right, place] = need.split(" ") as [Right, Place];
    return holder.may[right]?.includes(place) ?? false;
  });
}
