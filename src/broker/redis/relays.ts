/**
 * Live-only messages for other instances: what one turn publishes goes out together, at most once. What did not get through
 * is told of afterwards, tag by tag: as messages that are none.
 */
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Body } from "../../wire/messages.ts";
import { callBytesMax, callPartsMax, type Calls } from "./calls.ts";
import { entryOverhead } from "../entry.ts";
import { writeMessages } from "./entry.ts";
import type { Place, Places } from "./keys.ts";
import { scripts } from "./scripts.ts";

interface Pending {
  readonly place: Place;
  readonly bodies: { readonly body: Body }[];
}

const partOverhead = 32;
/**
 * Calls under way up to which a turn sends what it has; beyond, it waits for an answer and goes with what comes meanwhile, so
 * that many small turns do not make as many calls. Whatever makes a full call does not wait.
 */
const underWayMax = 2;
/** Tags remembered of which messages did not get through: nobody is told of others. */
const missedMax = 65_536;
/** Pause before that is tried again with whatever is sent next; when Redis is back it is done at once. */
const tellAgainMs = 1000;

export class Relays {
  readonly counts = { messages: 0, dropped: 0 };
  readonly #calls: Calls;
  readonly #places: Places;
  readonly #clock: Clock;
  readonly #writer = new ByteWriter(callBytesMax);
  #pending: Pending[] = [];
  #bytes = 0;
  #requested = false;
  /** Calls that are not answered. */
  #underWay = 0;
  readonly #missed = new Set<Place>();
  /** Not told before: of several servers one may be away for longer. */
  #tellAtMs = 0;

  constructor(calls: Calls, places: Places, clock: Clock) {
    this.#calls = calls;
    this.#places = places;
    this.#clock = clock;
  }

  relay(app: string, tag: string, body: Body): void {
    const place = this.#places.of(app, tag);
    if (!this.#calls.open) {
      this.counts.dropped++;
      this.#miss([place]);
      return;
    }
    let size = entryOverhead + body.bytes.length;
    const first = place.gathered === null;
    if (first) size += partOverhead + place.head.length;
    const full = this.#bytes + size > callBytesMax || (first && this.#pending.length === callPartsMax);
    if (full && this.#bytes > 0) this.flush();
    if (place.gathered === null) {
      place.gathered = [];
      this.#pending.push({ place, bodies: place.gathered });
    }
    place.gathered.push({ body });
    this.#bytes += size;
    if (this.#requested) return;
    this.#requested = true;
    this.#clock.endOfTurn(() => {
      this.#requested = false;
      // In a Cluster one server that does not answer would hold up what is for others.
      if (this.#underWay < underWayMax || this.#calls.isClustered) this.flush();
    });
  }

  /** Tells the others of which tags they did not get everything; for when Redis is there again. */
  tellMissed(): void {
    const places = [...this.#missed];
    this.#missed.clear();
    for (let i = 0; i < places.length; i += callPartsMax) {
      this.#send(places.slice(i, i + callPartsMax).map((place) => ({ place, bodies: [] })));
    }
  }

  /** Sends what has been gathered. */
  flush(): void {
    if (this.#pending.length === 0) return;
    // Before anything newer.
    if (this.#missed.size > 0 && this.#clock.monotonicMs() >= this.#tellAtMs) this.tellMissed();
    const pending = this.#pending;
    this.#pending = [];
    this.#bytes = 0;
    for (const { place } of pending) place.gathered = null;
    this.counts.messages += this.#send(pending);
  }

  /** The number of messages. */
  #send(pending: readonly Pending[]): number {
    const groups = new Map<number, Pending[]>();
    for (const one of pending) {
      const group = this.#calls.groupOf(one.place.slot);
      const known = groups.get(group);
      if (known === undefined) groups.set(group, [one]);
      else known.push(one);
    }
    let messages = 0;
    for (const group of groups.values()) messages += this.#sendGroup(group);
    return messages;
  }

  #sendGroup(pending: readonly Pending[]): number {
    const writer = this.#writer;
    const more: Buffer[] = [];
    let messages = 0;
    this.#calls.begin(writer);
    writer.u16(pending.length);
    for (const { place, bodies } of pending) {
      writer.append(place.head);
      writeMessages(writer, { bodies, from: 0, to: bodies.length }, more);
      messages += bodies.length;
    }
    const { slot } = (pending[0] as Pending).place;
    this.#underWay++;
    const answered = () => {
      this.#underWay--;
      if (!this.#requested) this.flush();
    };
    this.#calls.send(scripts.relay, slot, writer, more).then(answered, () => {
      this.counts.dropped += messages;
      this.#miss(pending.map(({ place }) => place));
      this.#tellAtMs = this.#clock.monotonicMs() + tellAgainMs;
      answered();
    });
    return messages;
  }

  #miss(places: readonly Place[]): void {
    for (const place of places) if (this.#missed.size < missedMax) this.#missed.add(place);
  }
}
