/**
 * The client protocol of NATS, over WebSocket. Tags become subjects: `sensor/1` is `sensor.1`, `+` is `*` and `#` is `>`.
 * What is to be confirmed is followed by a PING: its PONG says that the server has dealt with all before it.
 */
import { PacketSplitter } from "../packet-splitter.ts";
import type { PacketFormat } from "../packet-splitter.ts";
import type { Events, Outlet, Protocol, ProtocolKind } from "../protocol.ts";

export const natsWebSocket: ProtocolKind = {
  name: "nats-websocket",
  transport: "websocket",
  path: "/",
  create: (events) => new NatsProtocol(events),
};

const options = { verbose: false, pedantic: false, echo: true, headers: false, protocol: 1, lang: "tagcast-bench" };
const connect = Buffer.from(`CONNECT ${JSON.stringify(options)}\r\nPING\r\n`);
const pong = Buffer.from("PONG\r\n");
const lineEnd = Buffer.from("\r\n");
const lineEndAndPing = Buffer.from("\r\nPING\r\n");

const byte = { lf: 10, cr: 13, space: 32, plus: 43, zero: 48, nine: 57, i: 73, m: 77, o: 79, p: 80 } as const;

/** What a PONG confirms. */
type Confirmed = "ready" | "subscribed" | "acknowledged";

export class NatsProtocol implements Protocol, PacketFormat {
  readonly #events: Events;
  readonly #splitter = new PacketSplitter(this);
  #outlet: Outlet | null = null;
  #subscriptions = 0;
  /** PINGs under way, in order; of those that follow one another for the same thing the number is kept. */
  readonly #pings: { readonly confirmed: Confirmed; count: number }[] = [];
  /** Of the message measured last. */
  #payloadBytes = 0;
  /** The publish written last, head and all: the next one to the same tag changes its payload alone. */
  #template: Template | null = null;
  #templates: Map<string, Template> | null = null;

  constructor(events: Events) {
    this.#events = events;
  }

  open(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#pinged("ready");
    outlet.binary(connect);
  }

  subscribe(pattern: string): void {
    this.#subscriptions++;
    this.#pinged("subscribed");
    this.#outlet?.binary(Buffer.from(`SUB ${subjectOf(pattern)} ${this.#subscriptions}\r\nPING\r\n`));
  }

  publish(tag: string, payload: Uint8Array, acknowledge: boolean): void {
    let template = this.#template;
    if (template === null || template.tag !== tag) this.#template = template = this.#templateOf(tag);
    if (template.payloadBytes !== payload.length || template.acknowledge !== acknowledge) {
      template.shape(payload.length, acknowledge);
    }
    template.bytes.set(payload, template.payloadAt);
    if (acknowledge) this.#pinged("acknowledged");
    this.#outlet?.binary(template.bytes, template.bytes.length);
  }

  receive(bytes: Uint8Array): void {
    this.#splitter.push(bytes, 0, bytes.length);
  }

  receiveAt(bytes: Uint8Array, start: number, end: number): void {
    this.#splitter.push(bytes, start, end);
  }

  /** A packet is a line, after `MSG <subject> <sid> [<reply>] <bytes>` also the payload and a line's end. */
  measure(bytes: Uint8Array, start: number, end: number): number {
    let number = 0;
    let at = start;
    for (; ; at++) {
      if (at + 1 >= end) return -1;
      const character = bytes[at] as number;
      if (character >= byte.zero && character <= byte.nine) number = number * 10 + character - byte.zero;
      else if (character === byte.cr && bytes[at + 1] === byte.lf) break;
      else number = 0;
    }
    const lineBytes = at + 2 - start;
    if (bytes[start] !== byte.m) return lineBytes;
    this.#payloadBytes = number;
    return lineBytes + number + 2;
  }

  packet(bytes: Uint8Array, start: number, end: number): void {
    switch (bytes[start]) {
      case byte.m:
        return this.#events.message(bytes, end - 2 - this.#payloadBytes, end - 2);
      case byte.p:
        if (bytes[start + 1] === byte.o) return this.#ponged();
        this.#outlet?.binary(pong);
        return;
      case byte.i:
      case byte.plus:
        return;
      default:
        return this.#events.failed(Buffer.from(bytes.subarray(start, end)).toString("latin1").trim());
    }
  }

  #pinged(confirmed: Confirmed): void {
    const last = this.#pings.at(-1);
    if (last?.confirmed === confirmed) last.count++;
    else this.#pings.push({ confirmed, count: 1 });
  }

  #ponged(): void {
    const first = this.#pings[0];
    if (first === undefined) return this.#events.failed("A PONG without a PING");
    first.count--;
    if (first.count === 0) this.#pings.shift();
    if (first.confirmed === "acknowledged") this.#events.acknowledged(1);
    else this.#events[first.confirmed]();
  }

  #templateOf(tag: string): Template {
    const templates = (this.#templates ??= new Map<string, Template>());
    let template = templates.get(tag);
    if (template === undefined) templates.set(tag, (template = new Template(tag)));
    return template;
  }
}

/** A publish to one tag: all but its payload. */
class Template {
  readonly tag: string;
  readonly #subject: string;
  bytes = new Uint8Array();
  payloadAt = 0;
  payloadBytes = -1;
  acknowledge = false;

  constructor(tag: string) {
    this.tag = tag;
    this.#subject = subjectOf(tag);
  }

  shape(payloadBytes: number, acknowledge: boolean): void {
    const head = Buffer.from(`PUB ${this.#subject} ${payloadBytes}\r\n`);
    const tail = acknowledge ? lineEndAndPing : lineEnd;
    this.payloadAt = head.length;
    this.payloadBytes = payloadBytes;
    this.acknowledge = acknowledge;
    this.bytes = new Uint8Array(head.length + payloadBytes + tail.length);
    this.bytes.set(head);
    this.bytes.set(tail, head.length + payloadBytes);
  }
}

function subjectOf(pattern: string): string {
  return pattern.replaceAll("/", ".").replaceAll("+", "*").replace("#", ">");
}
