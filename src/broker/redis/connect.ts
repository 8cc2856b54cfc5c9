/**
 * One connection to one Redis server, for as long as it lasts: it never reconnects by itself, so that what is known of the
 * server (its run id, its scripts, the channels subscribed to) is known of every command sent. `bridge.ts` opens the next.
 */
import { createClient, RESP_TYPES } from "redis";
import { completeTracingChannels } from "./tracing.ts";

/** Time for a connection to be opened and to answer its first questions. */
const openMs = 3000;
const pingMs = 1000;
/** Silence after which node-redis gives a connection up; the heartbeat of the bridge is sooner. */
const silenceMs = 5000;
/** Channels in one command. */
const channelsPerCommand = 512;

/** Redis 7.0 is the first with what the scripts use. */
const versionMin = 7;

/** The server is there but cannot be used: trying again without a change of its configuration does not help. */
export class UnusableError extends Error {
  override readonly name = "UnusableError";
}

type Client = ReturnType<typeof newClient>;
export type Argument = string | Buffer;

completeTracingChannels();

function newClient(url: string) {
  return createClient({
    url,
    disableOfflineQueue: true,
    pingInterval: pingMs,
    socket: { connectTimeout: openMs, socketTimeout: silenceMs, reconnectStrategy: false },
    // Without `timeout: 0` each command has a timer of its own, that ends once the command is written: beats do more.
    commandOptions: { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  });
}

/** What a server says of itself. */
export interface Identity {
  /** 20 bytes that no other server has, nor this one after a restart. */
  readonly runId: Uint8Array;
  readonly isMaster: boolean;
  /** Whether it is part of a Redis Cluster. */
  readonly isClustered: boolean;
}

export class Link {
  readonly url: string;
  readonly identity: Identity;
  /** Resolves with why the connection has ended. */
  readonly ended: Promise<Error>;
  readonly #client: Client;
  #isEnded = false;

  constructor(client: Client, facts: Pick<Link, "url" | "identity" | "ended">) {
    this.#client = client;
    const { url, identity, ended } = facts;
    this.url = url;
    this.identity = identity;
    this.ended = ended;
    void ended.then(() => (this.#isEnded = true));
  }

  get runId(): Uint8Array {
    return this.identity.runId;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Strings of the answer are Buffers. */
  send(args: readonly Argument[]): Promise<unknown> {
    return this.#client.sendCommand(args);
  }

  /** Resolves when the server has confirmed all of them. */
  async subscribe(channels: readonly string[], listener: (packet: Buffer) => void): Promise<void> {
    await Promise.all(chunks(channels).map((some) => this.#client.subscribe(some, listener, true)));
  }

  /** `listener` is the one that was subscribed: without it the client mixes up a channel that is subscribed to again meanwhile. */
  async unsubscribe(channels: readonly string[], listener: (packet: Buffer) => void): Promise<void> {
    await Promise.all(chunks(channels).map((some) => this.#client.unsubscribe(some, listener, true)));
  }

  /** Like `subscribe`, on channels of one slot of a Redis Cluster. */
  async subscribeSharded(channels: readonly string[], listener: (packet: Buffer) => void): Promise<void> {
    await Promise.all(chunks(channels).map((some) => this.#client.sSubscribe(some, listener, true)));
  }

  async unsubscribeSharded(channels: readonly string[], listener: (packet: Buffer) => void): Promise<void> {
    await Promise.all(chunks(channels).map((some) => this.#client.sUnsubscribe(some, listener, true)));
  }

  /** `told`: the server has ended the subscription to a channel of a slot that it holds no more. */
  onMoved(told: () => void): void {
    this.#client.on("sharded-channel-moved", told);
  }

  /** Settles when all that the server sent before has arrived. */
  async ping(): Promise<void> {
    await this.#client.ping();
  }

  /** Ends the connection now; what is under way is rejected. */
  destroy(): void {
    this.#isEnded = true;
    this.#client.destroy();
  }
}

/**
 * Opens a connection to a server in whatever role.
 * @throws UnusableError where the server cannot serve as it is; any Error where it cannot be reached
 */
export async function openLink(url: string): Promise<Link> {
  const client = newClient(url);
  const { promise: ended, resolve: end } = Promise.withResolvers<Error>();
  client.on("error", (error: Error) => end(error));
  const deadline = setTimeout(() => {
    end(new Error(`No answer within ${openMs} ms`));
    client.destroy();
  }, openMs);
  try {
    const dead = ended.then((error) => Promise.reject(error));
    await Promise.race([client.connect(), dead]);
    const info: unknown = await Promise.race([client.sendCommand(["INFO"]), dead]);
    const text = Buffer.isBuffer(info) || typeof info === "string" ? info.toString() : "";
    return new Link(client, { url, identity: identityOf(text), ended });
  } catch (error) {
    client.destroy();
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

function identityOf(info: string): Identity {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1] ?? "";
  const version = field("redis_version");
  if (Number.parseInt(version, 10) < versionMin) {
    throw new UnusableError(`Redis ${version} is too old: tagcast needs ${versionMin}.0 or later`);
  }
  const runId = Buffer.from(field("run_id"), "hex");
  if (runId.length !== 20) throw new UnusableError("This Redis does not tell its run id");
  return { runId, isMaster: field("role") === "master", isClustered: field("cluster_enabled") === "1" };
}

/** A second connection to a server that is a master. @throws Error where it is not the same server, or a replica */
export async function openBeside(first: Link): Promise<Link> {
  if (!first.identity.isMaster) throw new Error("This Redis is a replica");
  const second = await openLink(first.url);
  if (Buffer.compare(first.runId, second.runId) === 0) return second;
  second.destroy();
  throw new Error("Two connections led to two servers");
}

function chunks(channels: readonly string[]): string[][] {
  const found: string[][] = [];
  for (let i = 0; i < channels.length; i += channelsPerCommand) found.push(channels.slice(i, i + channelsPerCommand));
  return found;
}

/** The first word of an error that the server answered with, such as `OOM`; "" for any other error. */
export function codeOf(reason: unknown): string {
  return reason instanceof Error ? (/^[A-Z]+(?= )/.exec(reason.message)?.[0] ?? "") : "";
}
