/**
 * Calls of scripts: the header that each begins with, the bound on what is under way, and what an error means. One call
 * carries what a turn has to do for many tags.
 */
import { errors } from "../../core/codes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { ByteWriter } from "../../lib/byte-writer.ts";
import { codeOf } from "./connect.ts";
import type { Script } from "./scripts.ts";
import type { Connection } from "./servers/connection.ts";
import { writeHeader } from "./servers/header.ts";
import type { Slot } from "./servers/topology.ts";

/** Tags and bytes of one call: the server does nothing else while it runs one. */
export const callPartsMax = 128;
export const callBytesMax = 256 * 1024;
/** Bytes on their way, unanswered: beyond it nothing new is taken, so that a server that hangs does not fill our memory. */
const pendingBytesMax = 32 * 1024 * 1024;

/** Errors of the server for what it did not do at all. */
const notDone = new Set([
  "ASK",
  "BUSY",
  "CLUSTERDOWN",
  "LOADING",
  "MASTERDOWN",
  "MISCONF",
  "MOVED",
  "NOAUTH",
  "NOPERM",
  "NOREPLICAS",
  "NOSCRIPT",
  "OOM",
  "READONLY",
  "TRYAGAIN",
]);

/** After these the connection is of no use. */
const lost = new Set(["CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOAUTH", "READONLY"]);

/** These stay until somebody does something about the server: its memory, its disk, its replicas, what its user may do. */
const standing = new Set(["MISCONF", "NOPERM", "NOREPLICAS", "OOM"]);

export interface CallsOptions {
  /** 8 ASCII characters. */
  readonly instance: string;
  readonly slotLevels: number;
  /** By how much tests let time pass. */
  readonly aheadMs: () => number;
}

export class Calls {
  readonly counts = { calls: 0, answered: 0, refused: 0, failed: 0 };
  readonly #options: CallsOptions;
  readonly #seed = new Uint32Array(1);
  #connection: Connection | null = null;
  #number = 0;
  #pendingBytes = 0;
  /** Told that the connection is of no use. */
  onLost: (reason: Error) => void = () => {};
  /** Told that the server refuses what is to be kept, each time. */
  onRefused: (reason: Error) => void = () => {};

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** Begins to use a connection, or none. */
  use(connection: Connection | null): void {
    this.#connection = connection;
  }

  /** Slot keys of one group can be in one call: they are on one server for good. */
  groupOf(slot: number): number {
    return this.isClustered ? slot : 0;
  }

  /** Whether slot keys are spread over servers. */
  get isClustered(): boolean {
    return this.#connection?.isClustered === true;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether a call can be made now. */
  get open(): boolean {
    return this.#connection !== null && this.#pendingBytes <= pendingBytesMax;
  }

  /** Sends a command that is no script, about what instances share. */
  async command(args: readonly string[]): Promise<unknown> {
    if (this.#connection === null) throw new ProtocolError(errors.unavailable);
    return await this.#connection.command(args);
  }

  /** Says something on a channel that instances share. */
  async publish(channel: string, text: string): Promise<void> {
    if (this.#connection === null) throw new ProtocolError(errors.unavailable);
    await this.#connection.publish(channel, text);
  }

  /** Begins a call: its header goes to `writer`, its number is returned. */
  begin(writer: ByteWriter): number {
    this.#number = (this.#number + 1) >>> 0;
    crypto.getRandomValues(this.#seed);
    writer.reset();
    const { slotLevels, instance, aheadMs } = this.#options;
    const seed = this.#seed[0] as number;
    writeHeader(writer, { slotLevels, instance, call: this.#number, seed, aheadMs: aheadMs() });
    return this.#number;
  }

  /**
   * Sends what was written since `begin`, as a copy, and `more` arguments. It is about slot keys of the group of `slot` alone.
   * Rejected with ProtocolError `unavailable` where it was certainly not done.
   */
  async send(
    script: Script,
    slot: Slot,
    writer: ByteWriter,
    more: readonly (string | Buffer)[] = [],
  ): Promise<unknown> {
    const connection = this.#connection;
    if (connection === null || !this.open) {
      this.counts.refused++;
      throw new ProtocolError(errors.unavailable);
    }
    const block = Buffer.from(writer.view());
    this.counts.calls++;
    let bytes = block.length;
    for (const one of more) bytes += one.length;
    this.#pendingBytes += bytes;
    try {
      const reply = await connection.run(script, slot, [block, ...more]);
      this.counts.answered++;
      return reply;
    } catch (error) {
      this.counts.failed++;
      const code = codeOf(error);
      if (lost.has(code)) this.onLost(error as Error);
      if (standing.has(code)) this.onRefused(error as Error);
      throw notDone.has(code) ? new ProtocolError(errors.unavailable, String(error), { cause: error }) : error;
    } finally {
      this.#pendingBytes -= bytes;
    }
  }
}

/** 8 characters that no other instance, and no other incarnation of one, has. */
export function randomName(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("base64url");
}

/** Whether an error says that what was asked for was not done. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof ProtocolError && error.code === errors.unavailable;
}
