/** Hands messages to the application: to its callback, or through a bounded buffer to its async iterator. */
import type { TagcastError } from "./errors.ts";
import { guarded } from "./events.ts";
import type { Message } from "./types.ts";

const bufferMaxDefault = 1024;

interface Reader<T> {
  readonly resolve: (result: IteratorResult<Message<T>, undefined>) => void;
  readonly reject: (error: TagcastError) => void;
}

export interface DeliveryOptions<T> {
  readonly onMessage: ((message: Message<T>) => void) | undefined;
  readonly bufferMax: number | undefined;
  /** A buffer that was full is half empty. */
  readonly drained: () => void;
  /** The iterator was left. */
  readonly left: () => void;
}

export class Delivery<T> {
  readonly #options: DeliveryOptions<T>;
  readonly #bufferMax: number;
  #buffer: Message<T>[] = [];
  #readers: Reader<T>[] = [];
  #wasFull = false;
  #rooms: (() => void)[] = [];
  /** Undefined until it is over. */
  #end: TagcastError | null | undefined = undefined;

  constructor(options: DeliveryOptions<T>) {
    this.#options = options;
    this.#bufferMax = options.bufferMax ?? bufferMaxDefault;
  }

  /** Whether the iterator is behind by a whole buffer. */
  get full(): boolean {
    return this.#buffer.length >= this.#bufferMax;
  }

  /** Hands on a message, also beyond the bound. */
  push(message: Message<T>): void {
    const { onMessage } = this.#options;
    if (onMessage) return guarded(onMessage, message);
    const reader = this.#readers.shift();
    if (reader) return reader.resolve({ done: false, value: message });
    this.#buffer.push(message);
    if (this.full) this.#wasFull = true;
  }

  /** Resolves when the buffer is not full. */
  async room(): Promise<void> {
    if (this.full && this.#end === undefined) await new Promise<void>((resolve) => void this.#rooms.push(resolve));
  }

  /** What is buffered can still be read; then the iterator ends, or throws. */
  finish(error: TagcastError | null): void {
    this.#end = error;
    for (const resolve of this.#rooms.splice(0)) resolve();
    for (const reader of this.#readers.splice(0)) this.#finished(reader, error);
  }

  iterator(): AsyncIterator<Message<T>, undefined> {
    return {
      next: () => new Promise((resolve, reject) => this.#next({ resolve, reject })),
      return: () => {
        this.#buffer = [];
        this.#options.left();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #next(reader: Reader<T>): void {
    const message = this.#buffer.shift();
    if (message === undefined) {
      if (this.#end === undefined) this.#readers.push(reader);
      else this.#finished(reader, this.#end);
      return;
    }
    reader.resolve({ done: false, value: message });
    if (!this.#wasFull || this.#buffer.length > this.#bufferMax / 2) return;
    this.#wasFull = false;
    for (const resolve of this.#rooms.splice(0)) resolve();
    this.#options.drained();
  }

  #finished(reader: Reader<T>, error: TagcastError | null): void {
    if (error) reader.reject(error);
    else reader.resolve({ done: true, value: undefined });
  }
}
