/** A connection to a master of a Redis Cluster that listens on sharded channels. */
import type { Link } from "../connect.ts";
import type { Receive } from "./connection.ts";

let sources = 0;

export class ShardListener {
  readonly link: Link;
  /** Packets that have come. */
  packets = 0;
  /** Nothing is handed on before. */
  isOpen: boolean;
  /** What the client calls, for each who receives: the same for all of its channels. */
  readonly #wrapped = new Map<Receive, (packet: Buffer) => void>();
  readonly #source = ++sources;

  constructor(link: Link, isOpen: boolean) {
    this.link = link;
    this.isOpen = isOpen;
  }

  /** `channels` are of one slot key. */
  subscribe(channels: readonly string[], receive: Receive): Promise<void> {
    return this.link.subscribeSharded(channels, this.#wrap(receive));
  }

  unsubscribe(channels: readonly string[], receive: Receive): Promise<void> {
    return this.link.unsubscribeSharded(channels, this.#wrap(receive));
  }

  #wrap(receive: Receive): (packet: Buffer) => void {
    let wrapped = this.#wrapped.get(receive);
    if (wrapped === undefined) {
      wrapped = (packet) => {
        this.packets++;
        if (this.isOpen) receive(packet, this.#source);
      };
      this.#wrapped.set(receive, wrapped);
    }
    return wrapped;
  }
}
