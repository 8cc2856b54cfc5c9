/** All clients are cut off, miss messages, and come back at once with their positions. */
import type { Case, Workload } from "../results.ts";
import { grouped, onStage, publishers, subscribers } from "./stage.ts";
import { tagcast } from "./who.ts";

const tag = "log/storm";
const deadlineMs = 60_000;
/** Handshakes under way at once: as many as wait in line at a listening socket. */
const opening = 500;

function storm(clientsFull: number, missed: number, smoke = false): Case {
  return {
    name: `${grouped(clientsFull)} clients, ${grouped(missed)} messages missed`,
    peers: [tagcast],
    smoke,
    sample: (context) =>
      onStage(context, { connections: clientsFull + 1 }, async (stage) => {
        const clients = Math.round(stage.scaled(clientsFull, 100));
        await stage.connect(subscribers, clients, [[tag]], { opening });
        await stage.connect(publishers, 1, []);
        const run = { tags: [[tag]], pace: { inFlight: 64 }, acknowledge: true };
        await stage.count({ ...run, receivers: clients, messages: 20 });
        await stage.leave(subscribers, true);
        const { tally } = await stage.count({ ...run, receivers: 0, messages: missed, seconds: 10 });
        const measured = await stage.reconnect(subscribers, tally.published, deadlineMs);
        const { seconds, latency } = measured.tally;
        return stage.sample(measured, {
          clientsPerSecond: clients / seconds,
          caughtUpMs: seconds * 1000,
          caughtUpHalfMs: latency.p50 / 1000,
          cpuPerClientNs: (measured.serverSeconds * 1e9) / clients,
        });
      }),
  };
}

export const recoveryStorm: Workload = {
  name: "recovery-storm",
  about: `All clients are subscribed to one tag with a log and are cut off. Messages are published while they are away, and
then all come back at once, authenticate, and subscribe from their positions, each with its own handshake. Measured until
the last one has everything that it missed; *caught up half* is when half of them have.`,
  cases: [storm(1000, 100, true), storm(1000, 1000), storm(10_000, 10)],
};
