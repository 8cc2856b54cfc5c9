/** One server, by two connections: one for calls and one that listens, made and given up together. */
import { codeOf, type Link, openBeside } from "../connect.ts";
import { loadScripts, type Script } from "../scripts.ts";
import type { Connection, Receive } from "./connection.ts";
import { stamp } from "./header.ts";
import { Lane } from "./lane.ts";
import type { Slot } from "./topology.ts";

/** Asked each second whether the server is still the one to be connected to; rejected where it is not. */
export interface Watch extends Disposable {
  look(): Promise<void>;
}

export class SingleServer implements Connection {
  readonly isClustered = false;
  readonly ended: Promise<Error>;
  onMoved = (): void => {};
  readonly #commands: Link;
  readonly #listener: Link;
  readonly #watch: Watch | null;
  readonly #lane: Lane;
  /** What the client calls, for each who receives. */
  readonly #wrapped = new Map<Receive, (packet: Buffer) => void>();
  readonly #end: (reason: Error) => void;

  private constructor(commands: Link, listener: Link, watch: Watch | null) {
    this.#commands = commands;
    this.#listener = listener;
    this.#watch = watch;
    const other = Promise.withResolvers<Error>();
    this.#end = other.resolve;
    this.ended = Promise.race([commands.ended, listener.ended, other.promise]);
    const load = () => loadScripts(commands);
    this.#lane = new Lane((reason) => (codeOf(reason) === "NOSCRIPT" ? load : null));
  }

  /** Takes over a connection to a master. */
  static async open(commands: Link, watch: Watch | null = null): Promise<SingleServer> {
    const listener = await openBeside(commands);
    const server = new SingleServer(commands, listener, watch);
    try {
      await loadScripts(commands);
      return server;
    } catch (error) {
      server.destroy();
      throw error;
    }
  }

  get isEnded(): boolean {
    return this.#commands.isEnded || this.#listener.isEnded;
  }

  run(script: Script, _slot: Slot, args: readonly [Buffer, ...(string | Buffer)[]]): Promise<unknown> {
    stamp(args[0], this.#commands.runId, false);
    return this.#lane.run(() => this.#commands.send(["EVALSHA", script.sha, "0", ...args]));
  }

  command(args: readonly string[]): Promise<unknown> {
    return this.#commands.send(args);
  }

  publish(channel: string, text: string): Promise<unknown> {
    return this.#commands.send(["PUBLISH", channel, text]);
  }

  subscribe(channels: readonly string[], receive: Receive): Promise<void> {
    return this.#listener.subscribe(channels, this.#wrap(receive));
  }

  unsubscribe(channels: readonly string[], receive: Receive): Promise<void> {
    return this.#listener.unsubscribe(channels, this.#wrap(receive));
  }

  #wrap(receive: Receive): (packet: Buffer) => void {
    let wrapped = this.#wrapped.get(receive);
    if (wrapped === undefined) this.#wrapped.set(receive, (wrapped = (packet) => receive(packet, 0)));
    return wrapped;
  }

  fence(): Promise<void> {
    return this.#listener.ping();
  }

  beat(): void {
    this.#watch?.look().catch((error: unknown) => this.#end(error as Error));
  }

  destroy(): void {
    this.#watch?.[Symbol.dispose]();
    this.#commands.destroy();
    this.#listener.destroy();
  }
}
