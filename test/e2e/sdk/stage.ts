/**
 * What a scenario sees of its surroundings, in any runtime: a real server behind a bad network, both under its control,
 * and clients of the SDK. Plain TypeScript on the SDK and the global WebSocket, so that it runs in a browser too.
 */
import { type Client, type ConnectOptions, connect, type SubscribeOptions } from "../../../src/client/client.ts";
import { type Numbered, within } from "./checks.ts";
import type { OpenAnswer, ServerSpec, TokenSpec, Verbs } from "./verbs.ts";
import { Witness } from "./witness.ts";

/** Calls a verb of the controller. */
export type Control = <Verb extends keyof Verbs>(
  verb: Verb,
  ...args: Parameters<Verbs[Verb]>
) => Promise<Awaited<ReturnType<Verbs[Verb]>>>;

export interface Scenario {
  /** A sentence. */
  readonly name: string;
  readonly run: (stage: Stage) => Promise<void>;
}

/** Delays of a client that comes back at once. */
export const quick = { minMs: 10, maxMs: 100 };

export class Stage {
  readonly control: Control;
  readonly #clients: Client[] = [];
  #opened: OpenAnswer | null = null;

  constructor(control: Control) {
    this.control = control;
  }

  /** Starts the server; its logs are in memory. */
  async open(spec: ServerSpec = {}): Promise<void> {
    this.#opened = await this.control("open", spec);
  }

  /** A client, through the network of the test, with the admin token. */
  connect(options: ConnectOptions = {}): Client {
    const { url, token } = this.#opened ?? { url: "", token: "" };
    const client = connect(url, { token, backoff: quick, ...options });
    this.#clients.push(client);
    return client;
  }

  /** A client that has a subscription, once the server has taken it up. */
  async watch(client: Client, pattern: string, options: SubscribeOptions = {}): Promise<Witness> {
    const witness = new Witness();
    witness.attach(client.subscribe<Numbered>(pattern, options, (message) => witness.take(message)));
    await within(witness.subscription.ready, `the subscription to ${pattern}`);
    return witness;
  }

  /** Publishes messages `from` to `to` of a tag over another connection, that is not disturbed. */
  publish(tag: string, from: number, to: number, fillBytes = 0): Promise<void> {
    return this.control("publish", tag, from, to, fillBytes);
  }

  sign(spec: TokenSpec): Promise<string> {
    return this.control("sign", spec);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

/** Resolves with the next event that `wanted` accepts. */
export function state(client: Client, wanted: Client["state"]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const off = client.on("state", (now) => {
    if (now !== wanted) return;
    off();
    resolve();
  });
  return within(promise, `the state "${wanted}"`);
}
