/** Reading past messages: one page of a log, with the position it was read at. */
import type { Broker, Page, Stored } from "../broker/broker.ts";
import { errors } from "../core/codes.ts";
import type { Recovery } from "../core/recovery.ts";
import type { TagRule } from "../core/tag-rule.ts";
import type { Settle } from "../lib/settle.ts";
import type { HistoryMessage, ResultValue } from "../wire/messages.ts";
import { Raw } from "../wire/messages.ts";
import type { Requester } from "./subscriber.ts";

const limitDefault = 100;
const pageBytes = 64 * 1024;

interface HistoryRequest {
  readonly broker: Broker;
  readonly settle: Settle;
  readonly recovery: Recovery;
  readonly app: string;
  readonly rule: TagRule;
  readonly message: HistoryMessage;
  readonly requester: Requester;
}

export function answerHistory(request: HistoryRequest): void {
  const { since, last } = request.message;
  // What `last` means is known once the log is seen: the first read then brings its position alone.
  read(request, last === null ? (since?.offset ?? 0) : Number.MAX_SAFE_INTEGER);
}

/** Reads a page after `cursor`, and one from further back where that turns out to be asked for. */
function read(request: HistoryRequest, cursor: number): void {
  const { broker, settle, app, rule, message, requester } = request;
  settle(
    broker.history(app, message.tag, rule, cursor, { count: message.limit ?? limitDefault, bytes: pageBytes }),
    (page) => {
      const start = startOf(request, page);
      if (start.cursor < cursor) read(request, start.cursor);
      else requester.answered(message.ref, result(page, start.recovered));
    },
    () => requester.refused(message.ref, errors.unavailable),
  );
}

/** Where the page starts: behind `since` if that can be honoured, else with the oldest; `last` bounds it from below. */
function startOf({ recovery, message }: HistoryRequest, log: Page): { cursor: number; recovered: boolean | null } {
  const { since, last } = message;
  const resumed = since === null ? null : recovery.resume(since, log);
  const cursor = resumed?.cursor ?? log.oldest - 1;
  return { cursor: Math.max(cursor, last === null ? 0 : log.top - last), recovered: resumed?.recovered ?? null };
}

function result(page: Page, recovered: boolean | null): ResultValue {
  const end = page.messages.at(-1)?.offset ?? page.top;
  return {
    position: [page.epoch, page.top],
    messages: page.messages.map(entry),
    more: end < page.top,
    recovered: recovered ?? undefined,
  };
}

function entry({ offset, bytes, payloadLength, timeMs }: Stored): ResultValue {
  const meta = payloadLength === bytes.length ? null : new Raw(bytes.subarray(payloadLength));
  return [offset, new Raw(bytes.subarray(0, payloadLength)), meta, timeMs];
}
