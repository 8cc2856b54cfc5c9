/** Live-only messages for other instances: what one turn publishes goes out together, at most once. */
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Body } from "../../wire/messages.ts";
import { callBytesMax, callPartsMax, type Calls } from "./calls.ts";
import { entryOverhead, writeMessages } from "./entry.ts";
import type { Place, Places } from "./keys.ts";
import { scripts } from "./scripts.ts";

interface Pending {
  readonly place: Place;
  readonly bodies: { readonly body: Body }[];
}

const partOverhead = 32;

export class Relays {
  readonly counts = { messages: 0, dropped: 0 };
  readonly #calls: Calls;
  readonly #places: Places;
  readonly #clock: Clock;
  readonly #writer = new ByteWriter(callBytesMax);
  readonly #pending = new Map<Place, Pending>();
  #bytes = 0;
  #requested = false;

  constructor(calls: Calls, places: Places, clock: Clock) {
    this.#calls = calls;
    this.#places = places;
    this.#clock = clock;
  }

  relay(app: string, tag: string, body: Body): void {
    if (!this.#calls.open) {
      this.counts.dropped++;
      return;
    }
    const place = this.#places.of(app, tag);
    let size = entryOverhead + body.bytes.length;
    let pending = this.#pending.get(place);
    if (pending === undefined) size += partOverhead + place.head.length;
    if (this.#bytes > 0 && (this.#bytes + size > callBytesMax || (!pending && this.#pending.size === callPartsMax))) {
      this.#flush();
      pending = undefined;
    }
    if (pending === undefined) this.#pending.set(place, (pending = { place, bodies: [] }));
    pending.bodies.push({ body });
    this.#bytes += size;
    if (this.#requested) return;
    this.#requested = true;
    this.#clock.endOfTurn(() => {
      this.#requested = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#pending.size === 0) return;
    const writer = this.#writer;
    const more: Buffer[] = [];
    let messages = 0;
    this.#calls.begin(writer);
    writer.u16(this.#pending.size);
    for (const { place, bodies } of this.#pending.values()) {
      writer.append(place.head);
      writeMessages(writer, { bodies, from: 0, to: bodies.length }, more);
      messages += bodies.length;
    }
    this.#pending.clear();
    this.#bytes = 0;
    this.counts.messages += messages;
    this.#calls.send(scripts.relay, writer, ...more).catch(() => (this.counts.dropped += messages));
  }
}
