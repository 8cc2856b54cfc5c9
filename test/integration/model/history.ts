/** Reading a log by op 5 and checking each page: nothing left out, nothing invented, the end where it was announced. */
import type { ModelClient } from "./client.ts";
import type { Fields } from "./subscription.ts";
import type { Truth } from "./truth.ts";
import { promise } from "./violation.ts";

interface Wanted {
  readonly tag: string;
  readonly epoch: number;
  /** Everything from the first message to this offset is to be read. */
  readonly end: number;
}

interface HistoryPage {
  readonly epoch: number;
  readonly top: number;
  readonly offsets: readonly number[];
  readonly more: boolean;
  readonly recovered: unknown;
}

/** Reads a log from its beginning, page by page. */
export function readPages(client: ModelClient, truth: Truth, wanted: Wanted, after = 0): void {
  const { tag, epoch, end } = wanted;
  client.history(
    tag,
    { since: [epoch, after], limit: 3 },
    {
      done(result) {
        const page = checkPage(truth, tag, result);
        if (page.recovered !== true) {
          const lost = page.epoch !== epoch || truth.isTrimmed(tag, epoch, after + 2);
          return promise(lost, () => `${tag} since ${epoch}:${after} was not recovered, though the log holds it`);
        }
        const [first = after + 1] = page.offsets;
        promise(page.epoch === epoch && first === after + 1, () => `${tag} since ${epoch}:${after} begins at ${first}`);
        const last = page.offsets.at(-1) ?? after;
        promise(page.more || last >= end, () => `${tag} ends at ${last}, announced was ${end}`);
        if (page.more && last < end) readPages(client, truth, wanted, last);
      },
      failed: (code) => promise(code === 103 || code === 115, () => `history of ${tag}: error ${code}`),
    },
  );
}

/** What op 5 may ask for. */
export interface HistoryOptions {
  readonly since?: readonly [number, number];
  readonly last?: number;
  readonly limit?: number;
}

/** Reads one page and checks that it begins where it should. */
export function readPage(client: ModelClient, truth: Truth, tag: string, options: HistoryOptions): void {
  const { since, last } = options;
  const asked = truth.now(tag);
  client.history(
    tag,
    { ...options },
    {
      done(result) {
        const { epoch, top, offsets, recovered } = checkPage(truth, tag, result);
        promise((recovered !== undefined) === (since !== undefined), () => `${tag}: recovered: ${String(recovered)}`);
        const first = offsets[0] ?? top + 1;
        const wanted = Math.max(recovered === true ? since![1] + 1 : 1, last === undefined ? 1 : top - last + 1);
        // Some may have been published after the server looked what the newest ones are.
        const grown = last === undefined ? 0 : top - (asked?.epoch === epoch ? asked.top : 0);
        const exact = first <= wanted && first >= wanted - grown;
        const whole = exact || (first > wanted && truth.isTrimmed(tag, epoch, first));
        promise(
          whole,
          () => `${tag} ${JSON.stringify(options)}: begins at ${epoch}:${first}, not ${wanted}, of ${top}`,
        );
      },
      failed: (code) => promise(code === 103 || code === 115, () => `history of ${tag}: error ${code}`),
    },
  );
}

/** Checks the content of one page, whatever was asked for. */
export function checkPage(truth: Truth, tag: string, result: Fields): HistoryPage {
  const [epoch, top] = result["position"] as readonly [number, number];
  const messages = result["messages"] as readonly (readonly [number, unknown, unknown, number])[];
  promise(top <= truth.top(tag, epoch), () => `${tag} is said to be at ${epoch}:${top}`);
  for (const [i, [offset, payload]] of messages.entries()) {
    const number = Array.isArray(payload) ? payload[0] : payload;
    promise(i === 0 || offset === messages[i - 1]![0] + 1, () => `${tag}: a page with a hole at ${offset}`);
    promise(
      truth.at(tag, epoch, offset) === number,
      () => `${tag}: a page brings ${String(number)} at ${epoch}:${offset}`,
    );
  }
  const offsets = messages.map(([offset]) => offset);
  const more = result["more"] === true;
  promise(
    more || offsets.length === 0 || offsets.at(-1) === top,
    () => `${tag}: the page ends early at ${offsets.at(-1)}`,
  );
  return { epoch, top, offsets, more, recovered: result["recovered"] };
}
