/** One connection of the driver: a link, the protocol over it, and what it is to count. */
import type { Link, LinkTarget } from "./link.ts";
import type { Events, Outlet, Protocol, ProtocolKind } from "./protocol.ts";

/** Where a client's events are counted. */
export interface Counting {
  /** The payload stands in `bytes` from `start` to `end`. */
  message(receiver: number, bytes: Uint8Array, start: number, end: number): void;
  acknowledged(count: number): void;
  told(count: number): void;
  failed(reason: string): void;
}

export interface ClientOptions {
  readonly kind: ProtocolKind;
  readonly subscriptions: readonly string[];
  readonly makeLink: (target: LinkTarget) => Link;
}

export class Client implements Events, LinkTarget {
  /** Number among those that a run counts. */
  receiver = 0;
  counting: Counting | null = null;
  reading = true;
  readonly subscriptions: readonly string[];
  readonly #options: ClientOptions;
  #link: Link | null = null;
  #protocol: Protocol | null = null;
  /** That of the connection before: has the positions. */
  #before: Protocol | null = null;
  #unconfirmed = 0;
  #up: PromiseWithResolvers<void> | null = null;
  #down: PromiseWithResolvers<void> | null = null;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.subscriptions = options.subscriptions;
  }

  /** Settles once it is connected, authenticated and subscribed; a second time it subscribes from its positions. */
  connect(address: { readonly host: string; readonly port: number }): Promise<void> {
    const up = Promise.withResolvers<void>();
    this.#up = up;
    this.#link = this.#options.makeLink(this);
    this.#link.connect(address);
    return up.promise;
  }

  /** Settles once the connection is gone; at once where it is. */
  leave(abruptly: boolean): Promise<void> {
    if (this.#link === null) return Promise.resolve();
    const down = Promise.withResolvers<void>();
    this.#down = down;
    if (abruptly) this.#link.cut();
    else {
      this.#protocol?.leave?.();
      this.#link.leave();
    }
    return down.promise;
  }

  read(reading: boolean): void {
    this.reading = reading;
    this.#link?.read(reading);
  }

  get isConnected(): boolean {
    return this.#link !== null;
  }

  /** Whether several publishes may share a frame. */
  get gathers(): boolean {
    return this.#options.kind.gathers === true;
  }

  publish(tag: string, payload: Uint8Array, acknowledge: boolean, more = false): void {
    this.#protocol?.publish(tag, payload, acknowledge, more);
  }

  opened(outlet: Outlet): void {
    this.#before = this.#protocol;
    this.#protocol = this.#options.kind.create(this);
    this.#protocol.open(outlet);
  }

  received(bytes: Uint8Array, start: number, end: number): void {
    const protocol = this.#protocol;
    if (protocol === null) return;
    if (protocol.receiveAt !== undefined) protocol.receiveAt(bytes, start, end);
    else protocol.receive(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  }

  closed(reason: string): void {
    this.#link = null;
    const up = this.#up;
    const down = this.#down;
    this.#up = null;
    this.#down = null;
    up?.reject(new Error(reason));
    if (down !== null) down.resolve();
    else if (up === null) this.counting?.failed(reason);
  }

  ready(): void {
    this.#unconfirmed = this.subscriptions.length;
    for (const pattern of this.subscriptions) {
      const since = this.#before?.position?.(pattern) ?? null;
      this.#protocol?.subscribe(pattern, since === null ? {} : { since });
    }
    this.#before = null;
    if (this.subscriptions.length === 0) this.#isUp();
  }

  subscribed(): void {
    if (--this.#unconfirmed === 0) this.#isUp();
  }

  acknowledged(count: number): void {
    this.counting?.acknowledged(count);
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    this.counting?.message(this.receiver, bytes, start, end);
  }

  told(count: number): void {
    this.counting?.told(count);
  }

  failed(reason: string): void {
    const up = this.#up;
    this.#up = null;
    if (up !== null) up.reject(new Error(reason));
    else this.counting?.failed(reason);
  }

  #isUp(): void {
    const up = this.#up;
    this.#up = null;
    up?.resolve();
  }
}
