/**
 * What an event stream sends, as the text of Server-Sent Events. Everything that users chose stands in JSON on one
 * `data:` line, so no line of the stream can be forged. Text gathers until it is taken.
 */
import type { Position } from "../core/position.ts";
import { hasWildcard } from "../core/tag.ts";
import type { Deliveries } from "../hub/subscriber.ts";
import type { MessageView, PatternName } from "../wire/frames.ts";
import type { GapDetail } from "../wire/write-msgpack.ts";
import { eventIdLimits, type PatternPositions, StreamPositions } from "./event-ids.ts";

/** A comment: keeps proxies and clients from taking the stream for dead. */
export const heartbeatText = ":\n\n";

/** The text of one stream. Until it begins, events wait: their ids are not known before all subscriptions have started. */
export class EventText {
  readonly positions: StreamPositions;
  /** Events of type `message` that were added. */
  messages = 0;
  /** Bytes that wait to be taken. */
  waiting = 0;
  /** Whether there are more logs than an id can name: nothing is added any more. */
  overflowed = false;
  #text = "";
  #early: (() => void)[] | null = [];

  constructor(patterns: readonly string[]) {
    this.positions = new StreamPositions(patterns);
  }

  /** Adds an event; with an id where `move`, or something before it, moves a position. `data` is JSON. */
  add(type: string, data: string, move: () => void = stay): void {
    if (this.overflowed) return;
    if (this.#early !== null) {
      this.#early.push(() => this.add(type, data, move));
      this.waiting += data.length;
      return;
    }
    move();
    const id = this.positions.changed ? this.#id() : "";
    if (!this.overflowed) this.#append(`event: ${type}\n${id}data: ${data}\n\n`);
  }

  /** Adds the first event, and what came early. `retryMs`: how long clients wait before they come again. */
  begin(type: string, data: string, retryMs: number): void {
    const early = this.#early ?? [];
    this.#early = null;
    this.waiting = 0;
    const id = this.positions.useful ? this.#id() : "";
    if (!this.overflowed) this.#append(`retry: ${retryMs}\nevent: ${type}\n${id}data: ${data}\n\n`);
    for (const add of early) add();
  }

  /** The last event, whatever else was refused. */
  farewell(code: number, text: string, retryAfterMs: number): void {
    const retry = retryAfterMs > 0 ? `retry: ${retryAfterMs}\n` : "";
    this.#append(`${retry}event: disconnect\ndata: ${JSON.stringify({ code, text, retryAfterMs })}\n\n`);
  }

  take(): string {
    if (this.#early !== null) return "";
    const text = this.#text;
    this.#text = "";
    this.waiting = 0;
    return text;
  }

  #id(): string {
    const id = this.positions.id();
    this.overflowed = this.positions.count > eventIdLimits.tagsMax || id.length > eventIdLimits.lengthMax;
    return `id: ${id}\n`;
  }

  #append(text: string): void {
    this.#text += text;
    this.waiting += Buffer.byteLength(text);
  }
}

function stay(): void {
  // Most events that are not messages leave positions as they are.
}

/** Deliveries of one subscription of a stream. `positions` null: nothing of it can be continued. */
export class EventFrames implements Deliveries {
  readonly lane = "json";
  readonly #text: EventText;
  readonly #pattern: string;
  readonly #positions: PatternPositions | null;

  constructor(text: EventText, pattern: string, continuable: boolean) {
    this.#text = text;
    this.#pattern = pattern;
    this.#positions = continuable ? text.positions.of(pattern) : null;
  }

  get waiting(): number {
    return this.#text.waiting;
  }

  startsAt(tag: string, { epoch, offset }: Position): void {
    this.#positions?.set(tag, epoch, offset);
  }

  message(view: MessageView, pattern: PatternName | null): void {
    const { offset, epoch } = view;
    const { tag } = view.tag;
    const { payload, meta } = view.rendered();
    let data = `{"tag":${JSON.stringify(tag)}`;
    if (offset > 0) data += `,"offset":${offset}`;
    data += `,"payload":${payload}`;
    if (meta !== null) data += `,"meta":${meta}`;
    if (pattern !== null) data += `,"pattern":${JSON.stringify(pattern.pattern)}`;
    this.#text.messages++;
    const move = offset > 0 ? () => this.#positions?.set(tag, epoch, offset) : undefined;
    this.#text.add("message", `${data}}`, move);
  }

  gap(name: string, from: number | null, to: number | null, detail: GapDetail): void {
    const { code, count, epoch } = detail;
    const pattern = hasWildcard(this.#pattern) ? this.#pattern : undefined;
    const tag = name === pattern ? undefined : name;
    this.#text.add("gap", JSON.stringify({ tag, pattern, from, to, code, count }), () => {
      if (to === null) return;
      if (epoch === undefined) this.#positions?.move(name, to);
      else this.#positions?.set(name, epoch, to);
    });
  }

  unsubscribed(pattern: string, code: number, text: string): void {
    this.#text.add("unsubscribed", JSON.stringify({ pattern, code, text }));
  }

  /** Event streams are not told who is here. */
  presence(): void {}

  /** The stream takes the text by itself at the end of each turn. */
  flush(): void {}
}
