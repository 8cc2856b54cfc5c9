/** Publishes numbered messages as fast as they are acknowledged, and each again until it is, under the same id. */
import { op } from "../../src/wire/messages.ts";
import type { Random } from "../harness/random.ts";
import { WireClient, type WireMessage } from "../harness/wire-client.ts";
import type { AckLedger } from "./ledger.ts";

/** Messages that wait for an acknowledgement at one time. */
const window = 24;
/** Of a payload, at most. */
const fillMax = 600;

interface Waiting {
  readonly tag: string;
  readonly key: string;
  readonly payload: string;
}

export interface PublisherOptions {
  readonly name: string;
  readonly tags: readonly string[];
  readonly ledger: AckLedger;
  readonly random: Random;
}

export class Publisher {
  readonly #options: PublisherOptions;
  /** What was published and not acknowledged, in order. */
  readonly #waiting = new Map<string, Waiting>();
  #count = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Publishes until the connection ends, or there is to be an end. */
  async run(url: string, token: string, ends: AbortSignal): Promise<void> {
    let client: WireClient;
    try {
      client = await WireClient.open(url, { token });
    } catch {
      return;
    }
    await using connection = client;
    const byRef = new Map<number, string>();
    for (const waiting of this.#waiting.values()) this.#send(connection, byRef, waiting);
    connection.socket.addEventListener("message", () => this.#answered(connection, byRef, ends));
    this.#fill(connection, byRef, ends);
    const drained = Promise.withResolvers<void>();
    const look = () => {
      if (ends.aborted && this.isDrained) drained.resolve();
    };
    connection.socket.addEventListener("message", look);
    ends.addEventListener("abort", look);
    look();
    await Promise.race([connection.closed, drained.promise]);
  }

  /** Whether all that was published is acknowledged. */
  get isDrained(): boolean {
    return this.#waiting.size === 0;
  }

  #fill(connection: WireClient, byRef: Map<number, string>, ends: AbortSignal): void {
    const { name, tags, random } = this.#options;
    while (!ends.aborted && this.#waiting.size < window) {
      const key = `${name}-${++this.#count}`;
      const waiting = { tag: random.pick(tags), key, payload: `${key} ${"x".repeat(random.int(fillMax))}` };
      this.#waiting.set(key, waiting);
      this.#send(connection, byRef, waiting);
    }
  }

  #send(connection: WireClient, byRef: Map<number, string>, { tag, key, payload }: Waiting): void {
    const ref = connection.nextRef();
    byRef.set(ref, key);
    if (connection.socket.readyState === WebSocket.OPEN) {
      connection.send([op.publish, ref, tag, payload, { id: key }]);
    }
  }

  #answered(connection: WireClient, byRef: Map<number, string>, ends: AbortSignal): void {
    for (const message of connection.received.splice(0)) this.#take(connection, byRef, message);
    this.#fill(connection, byRef, ends);
  }

  #take(connection: WireClient, byRef: Map<number, string>, [kind, ref, result]: WireMessage): void {
    const key = byRef.get(ref as number);
    const waiting = key === undefined ? undefined : this.#waiting.get(key);
    if (key === undefined || waiting === undefined) return;
    if (kind === op.error) {
      // Refused while the server ends, or cannot write: published again with the next connection, or now.
      byRef.delete(ref as number);
      return this.#send(connection, byRef, waiting);
    }
    if (kind !== op.ok) return;
    byRef.delete(ref as number);
    this.#waiting.delete(key);
    const { position, repeated } = result as { position: [number, number]; repeated?: boolean };
    if (repeated === true) this.#options.ledger.repeated++;
    this.#options.ledger.ack(waiting.tag, key, position);
  }
}
