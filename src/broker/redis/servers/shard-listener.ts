/** A connection to a master of a Redis Cluster that listens on sharded channels. */
import { type Link, openBeside } from "../connect.ts";
import type { Receive } from "./connection.ts";

let sources = 0;

export class ShardListener {
  readonly link: Link;
  /** By which the server names the connection. */
  readonly id: string;
  /** Packets that have come. */
  packets = 0;
  /** Nothing is handed on before. */
  isOpen: boolean;
  /** Goes up with each change of what is subscribed to. */
  changes = 0;
  readonly #channels = new Set<string>();
  /** Changes under way. */
  #underWay = 0;
  /** What the client calls, for each who receives: the same for all of its channels. */
  readonly #wrapped = new Map<Receive, (packet: Buffer) => void>();
  readonly #source = ++sources;

  private constructor(link: Link, id: string, isOpen: boolean) {
    this.link = link;
    this.id = id;
    this.isOpen = isOpen;
  }

  /** @throws Error where it is not the same server, or a replica */
  static async open(commands: Link, isOpen: boolean): Promise<ShardListener> {
    const link = await openBeside(commands);
    try {
      return new ShardListener(link, String(await link.send(["CLIENT", "ID"])), isOpen);
    } catch (error) {
      link.destroy();
      throw error;
    }
  }

  /** How many channels are subscribed to; null while that changes. */
  get count(): number | null {
    return this.#underWay > 0 ? null : this.#channels.size;
  }

  /** `channels` are of one slot key. */
  async subscribe(channels: readonly string[], receive: Receive): Promise<void> {
    await this.#change(this.link.subscribeSharded(channels, this.#wrap(receive)));
    for (const channel of channels) this.#channels.add(channel);
  }

  async unsubscribe(channels: readonly string[], receive: Receive): Promise<void> {
    await this.#change(this.link.unsubscribeSharded(channels, this.#wrap(receive)));
    for (const channel of channels) this.#channels.delete(channel);
  }

  async #change(change: Promise<void>): Promise<void> {
    this.#underWay++;
    this.changes++;
    try {
      await change;
    } finally {
      this.#underWay--;
    }
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
