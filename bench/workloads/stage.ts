/** What every workload stands on: a peer that was started for it, a driver, and how a run of it is measured. */
import type { Latency, RunCommand, Tally } from "../load/commands.ts";
import { type Done, DriverSession } from "../load/session.ts";
import { CpuMeter } from "../measure/cpu.ts";
import { residentBytes } from "../measure/memory.ts";
import type { PeerOptions, RunningPeer } from "../peers/peer.ts";
import type { CaseContext, Outcome } from "../results.ts";

/** A run with what most runs have in common left out. */
export type Run = Pick<RunCommand, "tags" | "pace" | "receivers"> &
  Partial<
    Pick<RunCommand, "payloadBytes" | "messages" | "seconds" | "acknowledge" | "perFrame" | "publishers" | "quietMs">
  >;

export interface Measured {
  readonly tally: Tally;
  /** CPU time of all parts of the peer. */
  readonly serverSeconds: number;
  /** The same by the name of the part. */
  readonly partSeconds: ReadonlyMap<string, number>;
}

export interface Connecting {
  /** Default: that of the peer. */
  readonly protocol?: string;
  /** Default: that of the peer. */
  readonly port?: number;
  readonly compression?: boolean;
  /** Handshakes under way at once. */
  readonly opening?: number;
}

export const publishers = "publishers";
export const subscribers = "subscribers";

const payloadBytesDefault = 64;
/** Of a full run. */
const secondsDefault = 3;
/** Enough that the server's code has become fast; where counts are all that is wanted it need not. */
const warmUpSeconds = 1;
const warmUpScaleMin = 0.1;
const secondsMin = 0.2;
const quietMs = 1500;
const messagesMax = 2 ** 30;

/** Starts the peer and a driver, and ends both whatever happens. */
export async function onStage<T>(
  context: CaseContext,
  options: PeerOptions,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const { peer, checkout } = context;
  const running = await peer.start({ ...options, ...(checkout !== undefined && { checkout }) });
  try {
    await using driver = new DriverSession();
    return await work(new Stage(context, running, driver));
  } finally {
    await running.stop();
  }
}

export class Stage {
  readonly driver: DriverSession;
  readonly running: RunningPeer;
  readonly #context: CaseContext;

  constructor(context: CaseContext, running: RunningPeer, driver: DriverSession) {
    this.#context = context;
    this.running = running;
    this.driver = driver;
  }

  /** Duration or number of a full run at this scale, of which `min` is the least that says anything. */
  scaled(full: number, min: number): number {
    return Math.max(min, full * this.#context.scale);
  }

  get address(): { readonly host: string; readonly port: number; readonly protocol: string } {
    const { host, port } = this.running;
    return { host, port, protocol: this.#context.peer.protocol };
  }

  /** Port of a part of the peer; that of the peer where it has no such part. */
  portOf(part: string): number {
    return this.running.parts.find(({ name }) => name === part)?.port ?? this.running.port;
  }

  can(ability: CaseContext["peer"]["abilities"][number]): boolean {
    return this.#context.peer.abilities.includes(ability);
  }

  /** Client i subscribes to each of `subscriptions[i % length]`. Returns how long each took until all of its were confirmed. */
  async connect(
    group: string,
    clients: number,
    subscriptions: readonly (readonly string[])[],
    options: Connecting = {},
  ): Promise<Latency> {
    const { opening } = await this.driver.send({
      do: "connect",
      group,
      ...this.address,
      clients,
      subscriptions,
      ...options,
    });
    if (opening === undefined) throw new Error("The driver does not say how long connecting took");
    return opening;
  }

  /** One run to warm up, and one that counts. */
  async measure(run: Run): Promise<Measured> {
    const seconds = run.seconds ?? this.scaled(secondsDefault, secondsMin);
    await this.count({ ...run, seconds: this.#context.scale < warmUpScaleMin ? secondsMin : warmUpSeconds });
    return await this.count({ ...run, seconds });
  }

  /** One run. */
  async count(run: Run): Promise<Measured> {
    return await this.#metered(async () => {
      return await this.driver.count({
        do: "run",
        publishers,
        payloadBytes: payloadBytesDefault,
        messages: messagesMax,
        seconds: this.scaled(secondsDefault, secondsMin),
        acknowledge: false,
        quietMs,
        ...run,
      });
    });
  }

  /** Comes back after all of the group are open again and have what they missed. */
  async reconnect(group: string, missed: number, deadlineMs: number): Promise<Measured> {
    return await this.#metered(async () => await this.driver.count({ do: "reconnect", group, missed, deadlineMs }));
  }

  async churn(churn: {
    readonly cycles: number;
    readonly seconds: number;
    readonly concurrency: number;
    readonly subscriptions?: readonly string[];
    readonly publish?: { readonly tag: string; readonly payloadBytes: number; readonly acknowledge: boolean };
    readonly receivers?: number;
  }): Promise<Measured> {
    return await this.#metered(async () => {
      return await this.driver.count({
        do: "churn",
        ...this.address,
        subscriptions: [],
        receivers: 0,
        quietMs,
        ...churn,
      });
    });
  }

  async leave(group: string, abruptly = false): Promise<Done> {
    return await this.driver.send({ do: "leave", group, abruptly });
  }

  /** Resident bytes of the peer now. */
  get residentBytes(): number {
    return this.running.parts.reduce((sum, { pid }) => sum + residentBytes(pid), 0);
  }

  sample({ tally, serverSeconds }: Measured, figures: Readonly<Record<string, number>> = {}): Outcome {
    return { serverSeconds, residentBytes: this.residentBytes, tally, figures };
  }

  async #metered(work: () => Promise<Tally>): Promise<Measured> {
    const meters = this.running.parts.map(({ name, pid }) => ({ name, meter: new CpuMeter(pid) }));
    const tally = await work();
    const partSeconds = new Map<string, number>();
    let serverSeconds = 0;
    for (const { name, meter } of meters) {
      const seconds = meter.seconds();
      partSeconds.set(name, seconds);
      serverSeconds += seconds;
    }
    return { tally, serverSeconds, partSeconds };
  }
}

/** `1,000`. */
export function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

/** `64 B`, `16 KiB`. */
export function bytesName(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`;
}
