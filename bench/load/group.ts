/** Connections of the same kind, opened and ended together. */
import { Client } from "./client.ts";
import type { ConnectCommand } from "./commands.ts";
import type { LinkTarget } from "./link.ts";
import { protocolKind } from "./protocols.ts";
import { TcpLink } from "./tcp-link.ts";
import type { Turn } from "./turn.ts";
import { upgradeRequest, WebSocketLink } from "./websocket-link.ts";

const openingDefault = 100;

/** Makes clients that all connect in the same way. */
export function clientMaker(command: Pick<ConnectCommand, "host" | "port" | "protocol" | "compression">, turn: Turn) {
  const kind = protocolKind(command.protocol);
  const request = upgradeRequest(kind, command, command.compression ?? false);
  const makeLink = (target: LinkTarget) =>
    kind.transport === "tcp" ? new TcpLink(target, turn) : new WebSocketLink(target, turn, request);
  return (subscriptions: readonly string[]) => new Client({ kind, subscriptions, makeLink });
}

export class Group {
  readonly clients: readonly Client[];
  readonly #command: ConnectCommand;

  constructor(command: ConnectCommand, turn: Turn) {
    this.#command = command;
    const make = clientMaker(command, turn);
    const { subscriptions } = command;
    this.clients = Array.from({ length: command.clients }, (_, i) =>
      make(subscriptions[i % subscriptions.length] ?? []),
    );
  }

  get connections(): number {
    let count = 0;
    for (const client of this.clients) if (client.isConnected) count++;
    return count;
  }

  /** @throws the first refusal; those already open stay so */
  async connect(each?: (startedAt: number) => void): Promise<void> {
    const left = this.clients.values();
    const worker = async () => {
      for (const client of left) {
        const startedAt = performance.now();
        await client.connect(this.#command);
        each?.(startedAt);
      }
    };
    await Promise.all(Array.from({ length: this.#command.opening ?? openingDefault }, worker));
  }

  async leave(abruptly: boolean): Promise<void> {
    await Promise.all(this.clients.map((client) => client.leave(abruptly)));
  }

  read(reading: boolean): void {
    for (const client of this.clients) client.read(reading);
  }
}
