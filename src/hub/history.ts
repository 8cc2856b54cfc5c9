/** Reading past messages: one page of a log, with the position it was read at. */
import type { Broker, Page, Stored } from "../broker/broker.ts";
import { errors } from "../core/codes.ts";
import { recovery } from "../core/recovery.ts";
import type { TagRule } from "../core/tag-rule.ts";
import { settle } from "../lib/settle.ts";
import type { HistoryMessage, ResultValue } from "../wire/messages.ts";
import { Raw } from "../wire/messages.ts";
import type { Requester } from "./subscriber.ts";

const limitDefault = 100;
const pageBytes = 64 * 1024;
const positionOnly = { count: 0, bytes: 0 } as const;

interface HistoryRequest {
  readonly broker: Broker;
  readonly app: string;
  readonly rule: TagRule;
  readonly message: HistoryMessage;
  readonly requester: Requester;
}

export function answerHistory(request: HistoryRequest): void {
  const { broker, app, rule, message, requester } = request;
  const failed = () => requester.refused(message.ref, errors.unavailable);
  const after = message.since?.offset ?? Number.MAX_SAFE_INTEGER;
  settle(
    broker.history(app, message.tag, rule, after, positionOnly),
    (log) => {
      const { cursor, recovered } = startOf(message, log);
      const limits = { count: message.limit ?? limitDefault, bytes: pageBytes };
      settle(
        broker.history(app, message.tag, rule, cursor, limits),
        (page) => requester.answered(message.ref, result(page, recovered)),
        failed,
      );
    },
    failed,
  );
}

/** Where the page starts: behind `since` if that can be honoured, else with the oldest; `last` bounds it from below. */
function startOf({ since, last }: HistoryMessage, log: Page): { cursor: number; recovered: boolean | null } {
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
