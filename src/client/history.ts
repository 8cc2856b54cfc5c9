/** Reads logs: one page, or page after page. */
import { op } from "../wire/messages.ts";
import type { Connection } from "./connection.ts";
import { TagcastError } from "./errors.ts";
import { asPage } from "./inbound.ts";
import type { Link } from "./link.ts";
import { repeated } from "./repeat.ts";
import type { HistoryOptions, HistoryPage } from "./types.ts";

/** One page by one request. Rejects with a `TagcastError`. */
export async function readPage(link: Link, tag: string, { since, last, limit }: HistoryOptions): Promise<HistoryPage> {
  const result = await link.call(op.history, tag, { since: since && [since.epoch, since.offset], last, limit });
  const page = asPage(tag, result);
  if (page === null) throw new TagcastError("refused", "The server's answer has no position");
  return page;
}

/** One page, over reconnects. */
export function history(connection: Connection, tag: string, options: HistoryOptions): Promise<HistoryPage> {
  return repeated(connection, (link) => readPage(link, tag, options));
}

/** Every page up to the newest message there is when the last one is read. */
export async function* historyPages(
  connection: Connection,
  tag: string,
  options: HistoryOptions,
): AsyncGenerator<HistoryPage, void, undefined> {
  let next = options;
  while (true) {
    const page = await history(connection, tag, next);
    yield page;
    const newest = page.messages.at(-1);
    if (!page.more || newest === undefined) return;
    next = { since: newest.position, ...(options.limit === undefined ? {} : { limit: options.limit }) };
  }
}
