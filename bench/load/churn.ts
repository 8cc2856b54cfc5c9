/** Connections that come, do something, and leave. */
import type { Client, Counting } from "./client.ts";
import type { ChurnCommand, Tally } from "./commands.ts";
import type { Count } from "./counting.ts";
import { clientMaker } from "./group.ts";
import { LatencyHistogram } from "./latency.ts";
import { createPayload, stampPayload } from "./payload.ts";
import { Stopwatch } from "./stopwatch.ts";
import type { Turn } from "./turn.ts";

const watchMs = 5;

export interface ChurnParts {
  readonly command: ChurnCommand;
  readonly run: number;
  /** Of what the clients that stay get, and of what goes wrong. */
  readonly count: Count;
  readonly turn: Turn;
}

export async function churn({ command, run, count, turn }: ChurnParts): Promise<Tally> {
  const make = clientMaker(command, turn);
  const latency = new LatencyHistogram();
  const payload = command.publish === undefined ? null : createPayload(command.publish.payloadBytes);
  const stopwatch = new Stopwatch(turn);
  const startedAt = performance.now();
  const endsAt = startedAt + command.seconds * 1000;
  let begun = 0;
  let published = 0;
  const cycle = async () => {
    const beganAt = performance.now();
    const client = make(command.subscriptions);
    await client.connect(command);
    if (command.publish !== undefined && payload !== null) {
      turn.tick();
      stampPayload(payload, turn.micros(), run, 0, ++published);
      await publishOnce(client, command.publish, payload, count);
    }
    await client.leave(false);
    latency.record((performance.now() - beganAt) * 1000);
  };
  const worker = async () => {
    while (begun < command.cycles && performance.now() < endsAt) {
      begun++;
      await cycle().catch((error: unknown) => count.failed(error instanceof Error ? error.message : String(error)));
    }
  };
  await Promise.all(Array.from({ length: command.concurrency }, worker));
  const seconds = (performance.now() - startedAt) / 1000;
  const expected = published * command.receivers;
  const quietAt = performance.now() + command.quietMs;
  while (count.settled < expected && performance.now() < quietAt) await Bun.sleep(watchMs);
  const used = stopwatch.stop();
  const tally = count.tally({
    ...used,
    published: command.publish === undefined ? begun : published,
    expected,
    seconds,
  });
  return { ...tally, latency: latency.summary() };
}

/** Settles once it was acknowledged, or at once where that is not asked for. */
async function publishOnce(
  client: Client,
  publish: NonNullable<ChurnCommand["publish"]>,
  payload: Uint8Array,
  count: Count,
): Promise<void> {
  const answered = Promise.withResolvers<void>();
  client.counting = answeredBy(count, answered);
  client.publish(publish.tag, payload, publish.acknowledge);
  if (publish.acknowledge) await answered.promise;
}

function answeredBy(count: Count, answered: PromiseWithResolvers<void>): Counting {
  return {
    message: (receiver, bytes, start, end) => count.message(receiver, bytes, start, end),
    told: (missing) => count.told(missing),
    acknowledged(times) {
      count.acknowledged(times);
      answered.resolve();
    },
    failed: (reason) => answered.reject(new Error(reason)),
  };
}
