/**
 * What a store of managed tokens holds, and its edits, as pure functions from one state to the next: memory and file
 * stores differ only in where the state is kept.
 */
import { z } from "zod";
import {
  type CreatedToken,
  type ManagedToken,
  type Revocation,
  type RevocationDraft,
  type StoreChange,
  type TokenDraft,
  type TokenPatch,
  TokenStoreError,
} from "../core/token-store.ts";
import {
  appSchema,
  clientSchema,
  connectionsSchema,
  jtiSchema,
  nameSchema,
  rateSchema,
  strictGrantMapSchema,
  subjectSchema,
  timeMsSchema,
} from "./schemas.ts";
import { hashOf, newSecret, newTokenId } from "./secrets.ts";

export interface TokenState {
  readonly tokens: readonly ManagedToken[];
  readonly revoked: readonly Revocation[];
}

export const emptyState: TokenState = { tokens: [], revoked: [] };

/** How long revocations are kept at least. Longer than a JWT should live. */
export const revocationKeepMs = 30 * 86_400_000;
/** Up to so many are kept for good unless it is known when they are over: a JWT that lives longer stays revoked too. */
export const revocationsKept = 10_000;

const managedTokenSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9]{1,64}$/, "1–64 lowercase letters and digits"),
  app: appSchema,
  name: nameSchema,
  subject: subjectSchema,
  client: clientSchema.nullable().default(null),
  grants: strictGrantMapSchema,
  deny: strictGrantMapSchema.default({}),
  expiresAtMs: timeMsSchema.nullable().default(null),
  connectionsMax: connectionsSchema.nullable().default(null),
  messagesPerSecond: rateSchema.nullable().default(null),
  bytesPerSecond: rateSchema.nullable().default(null),
  createdAtMs: timeMsSchema,
  hash: z.string().regex(/^[0-9a-f]{64}$/, "64 lowercase hexadecimal digits"),
});

const revocationFields = z.strictObject({
  app: appSchema,
  jti: jtiSchema.nullable().default(null),
  subject: subjectSchema.nullable().default(null),
  issuedBeforeMs: timeMsSchema.nullable().default(null),
  expiresAtMs: timeMsSchema.nullable().default(null),
  revokedAtMs: timeMsSchema,
});
const revocationSchema = revocationFields.refine(
  (entry) => entry.jti !== null || entry.subject !== null,
  "A jti or a subject is needed",
);

/** Every field that is wrong is reported at once. */
export const stateSchema = z
  .strictObject({
    version: z.literal(1),
    tokens: z.array(managedTokenSchema),
    revoked: z.array(revocationSchema).default([]),
  })
  .superRefine(({ tokens }, context) => {
    for (const field of ["id", "hash"] as const) {
      if (new Set(tokens.map((token) => token[field])).size < tokens.length)
        context.addIssue({ code: "custom", message: `Two tokens have the same ${field}`, path: ["tokens"] });
    }
  })
  .transform(({ tokens, revoked }): TokenState => ({ tokens, revoked }));

/** One token as JSON. Fields that this version does not know are passed over. @throws where it is none */
export function readToken(text: string): ManagedToken {
  return managedTokenSchema.strip().parse(JSON.parse(text));
}

/** One revocation as JSON. @throws where it is none */
export function readRevocation(text: string): Revocation {
  return revocationFields.strip().parse(JSON.parse(text));
}

/** @throws TokenStoreError `invalid` */
export function withCreated(
  state: TokenState,
  draft: TokenDraft,
  nowMs: number,
): { readonly state: TokenState; readonly created: CreatedToken } {
  const secret = newSecret();
  let id = newTokenId();
  while (state.tokens.some((token) => token.id === id)) id = newTokenId();
  const token = check(managedTokenSchema, {
    id,
    app: draft.app ?? "main",
    name: draft.name,
    subject: draft.subject ?? `token:${id}`,
    client: draft.client ?? null,
    grants: draft.grants,
    deny: draft.deny ?? {},
    expiresAtMs: draft.expiresAtMs ?? null,
    connectionsMax: draft.connectionsMax ?? null,
    messagesPerSecond: draft.messagesPerSecond ?? null,
    bytesPerSecond: draft.bytesPerSecond ?? null,
    createdAtMs: nowMs,
    hash: hashOf(secret),
  });
  return { state: { ...state, tokens: [...state.tokens, token] }, created: { token, secret } };
}

/** @throws TokenStoreError `invalid` */
export function withEdited(
  state: TokenState,
  id: string,
  patch: TokenPatch,
): { readonly state: TokenState; readonly token: ManagedToken | null } {
  const old = state.tokens.find((token) => token.id === id);
  if (old === undefined) return { state, token: null };
  const token = check(managedTokenSchema, {
    ...old,
    name: patch.name ?? old.name,
    grants: patch.grants ?? old.grants,
    deny: patch.deny ?? old.deny,
    expiresAtMs: patch.expiresAtMs === undefined ? old.expiresAtMs : patch.expiresAtMs,
    connectionsMax: patch.connectionsMax === undefined ? old.connectionsMax : patch.connectionsMax,
    messagesPerSecond: patch.messagesPerSecond === undefined ? old.messagesPerSecond : patch.messagesPerSecond,
    bytesPerSecond: patch.bytesPerSecond === undefined ? old.bytesPerSecond : patch.bytesPerSecond,
  });
  return { state: { ...state, tokens: state.tokens.map((other) => (other === old ? token : other)) }, token };
}

export function withoutToken(
  state: TokenState,
  id: string,
): { readonly state: TokenState; readonly token: ManagedToken | null } {
  const token = state.tokens.find((each) => each.id === id) ?? null;
  return token === null
    ? { state, token }
    : { state: { ...state, tokens: state.tokens.filter((each) => each !== token) }, token };
}

/** @throws TokenStoreError `invalid` */
export function withRevocation(
  state: TokenState,
  draft: RevocationDraft,
  nowMs: number,
): { readonly state: TokenState; readonly revocation: Revocation } {
  const revocation = check(revocationSchema, {
    app: draft.app,
    jti: draft.jti ?? null,
    subject: draft.subject ?? null,
    // A JWT's time of issue has whole seconds: what was issued within this second counts as issued before it is over.
    issuedBeforeMs: draft.issuedBeforeMs ?? (draft.jti === undefined ? nowMs + 1 : null),
    expiresAtMs: draft.expiresAtMs ?? null,
    revokedAtMs: nowMs,
  });
  const others = pruned(state.revoked, nowMs).filter((other) => !implies(revocation, other));
  return { state: { ...state, revoked: [...others, revocation] }, revocation };
}

/**
 * Revocations that can still matter: gone are those whose credentials are known to be over and, beyond the newest
 * `revocationsKept`, those older than `revocationKeepMs`.
 */
export function pruned(revoked: readonly Revocation[], nowMs: number): readonly Revocation[] {
  const open = revoked.filter((entry) => entry.expiresAtMs === null || entry.expiresAtMs > nowMs);
  const surplus = open.length - revocationsKept;
  return open.filter((entry, i) => i >= surplus || entry.revokedAtMs > nowMs - revocationKeepMs);
}

/** What listeners are to hear when `before` becomes `after`. */
export function changesBetween(before: TokenState, after: TokenState): StoreChange[] {
  const changes: StoreChange[] = [];
  const now = new Map(after.tokens.map((token) => [token.id, token]));
  for (const old of before.tokens) {
    const token = now.get(old.id);
    if (token === undefined || !sameHolder(old, token)) changes.push({ kind: "revoked", token: old });
    else if (old !== token && rightsOf(old) !== rightsOf(token)) changes.push({ kind: "edited", token });
  }
  const known = new Set(before.revoked.map(revocationKey));
  for (const revocation of after.revoked)
    if (!known.has(revocationKey(revocation))) changes.push({ kind: "issuedRevoked", revocation });
  return changes;
}

function sameHolder(a: ManagedToken, b: ManagedToken): boolean {
  return a.hash === b.hash && a.app === b.app && a.subject === b.subject && a.client === b.client;
}

function rightsOf(token: ManagedToken): string {
  const { grants, deny, expiresAtMs, connectionsMax, messagesPerSecond, bytesPerSecond } = token;
  return JSON.stringify([grants, deny, expiresAtMs, connectionsMax, messagesPerSecond, bytesPerSecond]);
}

export function withoutRevocation(
  state: TokenState,
  id: string,
): { readonly state: TokenState; readonly revocation: Revocation | null } {
  const revocation = state.revoked.find((each) => revocationId(each) === id) ?? null;
  return revocation === null
    ? { state, revocation }
    : { state: { ...state, revoked: state.revoked.filter((each) => each !== revocation) }, revocation };
}

/** 32 hexadecimal digits. Two with the same id revoke the same. */
export function revocationId(revocation: Revocation): string {
  return hashOf(revocationKey(revocation)).slice(0, 32);
}

/** Two with the same key revoke the same. */
function revocationKey({ app, jti, subject, issuedBeforeMs }: Revocation): string {
  return JSON.stringify([app, jti, subject, issuedBeforeMs]);
}

/** Whether everything that `older` revokes is revoked by `newer` too, for at least as long. */
function implies(newer: Revocation, older: Revocation): boolean {
  if (newer.app !== older.app || newer.jti !== older.jti || newer.subject !== older.subject) return false;
  if (newer.expiresAtMs !== null && (older.expiresAtMs === null || older.expiresAtMs > newer.expiresAtMs)) return false;
  return (
    newer.issuedBeforeMs === null || (older.issuedBeforeMs !== null && older.issuedBeforeMs <= newer.issuedBeforeMs)
  );
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new TokenStoreError("invalid", problemsOf(result.error));
}

/** One line, all problems: `tokens[0].name: 1–255 bytes; …`. */
export function problemsOf(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => (path.length === 0 ? message : `${z.core.toDotPath(path)}: ${message}`))
    .join("; ");
}
