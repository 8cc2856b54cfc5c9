/**
 * What the broker is connected to: one server, or the masters of a Redis Cluster. It lasts as long as every connection that
 * it consists of; `bridge.ts` makes the next.
 */
import type { Argument } from "../connect.ts";
import type { Script } from "../scripts.ts";
import type { Slot } from "./topology.ts";

/** `source` is a number of the connection that a packet came by, 0 where there is only one. */
export type Receive = (packet: Buffer, source: number) => void;

export interface Connection {
  /** Whether slot keys are spread over servers, so that a call is about one of them alone. */
  readonly isClustered: boolean;
  readonly isEnded: boolean;
  /** Resolves with why it has ended. */
  readonly ended: Promise<Error>;
  /** Told that slot keys are on other servers from now on: what was announced meanwhile may be lost. */
  onMoved: () => void;
  /** Runs a script about one slot key, or about any where it is not clustered. `block` begins with a header that is completed. */
  run(script: Script, slot: Slot, args: readonly [block: Buffer, ...more: Argument[]]): Promise<unknown>;
  /** A command about keys of `{all}`. */
  command(args: readonly string[]): Promise<unknown>;
  /** Says something on a channel of `{all}`. */
  publish(channel: string, text: string): Promise<unknown>;
  /** Resolves when all are confirmed. `receive` is one function for a channel. */
  subscribe(channels: readonly string[], receive: Receive): Promise<void>;
  unsubscribe(channels: readonly string[], receive: Receive): Promise<void>;
  /** Settles when everything that was announced before has arrived. */
  fence(): Promise<void>;
  /** Each second: looks whether everything is still there. */
  beat(): void;
  destroy(): void;
}
