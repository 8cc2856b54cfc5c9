/**
 * One connection to one Redis server, for as long as it lasts: it never reconnects by itself, so that what is known of the
 * server (its run id, its scripts, the channels subscribed to) is known of every command sent. `bridge.ts` opens the next.
 */
import { createClient, RESP_TYPES } from "redis";
import { type Script, scripts } from "./scripts.ts";
import { completeTracingChannels } from "./tracing.ts";

export interface Target {
  /** `redis://` or `rediss://`, with user and password where they are needed. */
  readonly url: string;
}

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
type Argument = string | Buffer;

completeTracingChannels();

function newClient(url: string) {
  return createClient({
    url,
    disableOfflineQueue: true,
    pingInterval: pingMs,
    socket: { connectTimeout: openMs, socketTimeout: silenceMs, reconnectStrategy: false },
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  });
}

export class Link {
  /** 20 bytes that no other server has, nor this one after a restart. */
  readonly runId: Uint8Array;
  /** Resolves with why the connection has ended. */
  readonly ended: Promise<Error>;
  readonly #client: Client;
  #isEnded = false;

  constructor(client: Client, runId: Uint8Array, ended: Promise<Error>) {
    this.#client = client;
    this.runId = runId;
    this.ended = ended;
    void ended.then(() => (this.#isEnded = true));
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

/** Opens a connection. @throws UnusableError where the server cannot serve as it is; any Error where it cannot be reached */
export async function openLink({ url }: Target): Promise<Link> {
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
    return new Link(client, runIdOf(Buffer.isBuffer(info) || typeof info === "string" ? info.toString() : ""), ended);
  } catch (error) {
    client.destroy();
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

function runIdOf(info: string): Uint8Array {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1] ?? "";
  const version = field("redis_version");
  if (Number.parseInt(version, 10) < versionMin) {
    throw new UnusableError(`Redis ${version} is too old: tagcast needs ${versionMin}.0 or later`);
  }
  if (field("cluster_enabled") === "1") throw new UnusableError("This Redis is part of a Redis Cluster");
  if (field("role") !== "master") throw new Error("This Redis is a replica");
  const runId = Buffer.from(field("run_id"), "hex");
  if (runId.length !== 20) throw new UnusableError("This Redis does not tell its run id");
  return runId;
}

function chunks(channels: readonly string[]): string[][] {
  const found: string[][] = [];
  for (let i = 0; i < channels.length; i += channelsPerCommand) found.push(channels.slice(i, i + channelsPerCommand));
  return found;
}

interface Job {
  readonly script: Script;
  readonly args: readonly Argument[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

/** Runs scripts in the order of the calls, also where the server has forgotten them meanwhile. */
export class ScriptRunner {
  readonly #link: Link;
  /** Calls that are to be sent again, and those made since that was known: sent once nothing is under way. */
  #again: Job[] = [];
  #later: Job[] = [];
  #stalled = false;
  #underWay = 0;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Loads all scripts. */
  async load(): Promise<void> {
    await Promise.all(Object.values(scripts).map(({ source }) => this.#link.send(["SCRIPT", "LOAD", source])));
  }

  command(args: readonly Argument[]): Promise<unknown> {
    return this.#link.send(args);
  }

  run(script: Script, args: readonly Argument[]): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const job = { script, args, resolve, reject };
    if (this.#stalled) this.#later.push(job);
    else this.#send(job);
    return promise;
  }

  #send(job: Job): void {
    this.#underWay++;
    this.#link.send(["EVALSHA", job.script.sha, "0", ...job.args]).then(
      (reply) => {
        job.resolve(reply);
        this.#settled();
      },
      (reason: unknown) => {
        if (codeOf(reason) === "NOSCRIPT") {
          this.#stalled = true;
          this.#again.push(job);
        } else job.reject(reason);
        this.#settled();
      },
    );
  }

  #settled(): void {
    this.#underWay--;
    if (this.#underWay > 0 || !this.#stalled) return;
    const resume = () => {
      const jobs = [...this.#again, ...this.#later];
      this.#again = [];
      this.#later = [];
      this.#stalled = false;
      for (const job of jobs) this.#send(job);
    };
    this.load().then(resume, resume);
  }
}

/** The first word of an error that the server answered with, such as `OOM`; "" for any other error. */
export function codeOf(reason: unknown): string {
  return reason instanceof Error ? (/^[A-Z]+(?= )/.exec(reason.message)?.[0] ?? "") : "";
}
