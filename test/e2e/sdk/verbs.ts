/** What a scenario can ask of the controller: types alone, shared by both ends. */
import type { GrantMap } from "../../../src/core/grants.ts";
import type { Slowness, Way } from "../../harness/proxy.ts";

export interface ServerSpec {
  /** More flags of `serve`. */
  readonly flags?: readonly string[];
}

export interface OpenAnswer {
  /** Through the network of the test. */
  readonly url: string;
  readonly token: string;
}

export interface TokenSpec {
  readonly lifeMs: number;
  readonly grants?: GrantMap;
}

export interface Verbs {
  open(spec: ServerSpec): Promise<OpenAnswer>;
  /** Takes the server's life. */
  kill(): Promise<void>;
  /** Asks it to stop, and waits until it has. */
  stop(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
  /** Stops it in the middle of whatever it does, and lets it go on. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** See `Proxy`. */
  drop(): Promise<void>;
  cut(): Promise<void>;
  mend(): Promise<void>;
  hold(way: Way): Promise<void>;
  lose(way: Way): Promise<void>;
  slow(slowness: Slowness): Promise<void>;
  /** Publishes `{n}` for `from` to `to`, each with so many bytes more; done once the server has acknowledged them. */
  publish(tag: string, from: number, to: number, fillBytes: number): Promise<void>;
  /** A JWT that the server accepts, until it has expired. */
  sign(spec: TokenSpec): Promise<string>;
}

/** From the runtime to the controller. */
export type Up =
  | { readonly call: number; readonly verb: keyof Verbs; readonly args: readonly unknown[] }
  | { readonly done: string; readonly error: string | null };

/** From the controller to the runtime. */
export type Down =
  { readonly run: string } | { readonly answer: number; readonly result?: unknown; readonly error?: string };
