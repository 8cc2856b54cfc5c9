/** Samples of made-up peers, for tests of what is made of samples. */
import type { Peer } from "../../../bench/peers/peer.ts";
import type { Tally } from "../../../bench/load/commands.ts";
import type { Results, Sample } from "../../../bench/results.ts";

export function tallyOf(parts: Partial<Tally> = {}): Tally {
  return {
    published: 1000,
    acknowledged: 0,
    expected: 1000,
    delivered: 1000,
    lost: 0,
    doubled: 0,
    reordered: 0,
    told: 0,
    failures: [],
    latency: { mean: 120, p50: 100, p99: 400, p999: 900, max: 2000 },
    seconds: 1,
    driverSeconds: 0.5,
    bytesIn: 0,
    bytesOut: 0,
    ...parts,
  };
}

export function sampleOf(parts: Partial<Sample> = {}): Sample {
  return {
    round: 1,
    workload: "fan-out",
    case: "1→1, 64 B, 512 in flight",
    peer: "tagcast",
    scale: 1,
    serverSeconds: 0.001,
    residentBytes: 40e6,
    tally: tallyOf(),
    figures: {},
    ...parts,
  };
}

/** One sample a round, with these CPU nanoseconds per delivery. */
export function rounds(peer: string, nanoseconds: readonly number[], parts: Partial<Sample> = {}): readonly Sample[] {
  return nanoseconds.map((ns, i) => sampleOf({ peer, round: i + 1, serverSeconds: ns * 1e-6, ...parts }));
}

export function resultsOf(samples: readonly Sample[], parts: Partial<Results> = {}): Results {
  return {
    format: 2,
    machine: { cpu: "Abacus", cores: 2, memoryGiB: 4, kernel: "6.1", bun: "1.4.5", node: "22.1.0" },
    commit: "abcdef1",
    at: "2026-01-02T03:04:05.000Z",
    peers: { tagcast: "0.1.0", "bun control": "1.4.5", nats: null },
    samples,
    problems: [],
    micro: {},
    ...parts,
  };
}

export function peerOf(name: string): Peer {
  return {
    name,
    about: `What ${name} is.`,
    protocol: "none",
    abilities: [],
    install: `the package ${name}`,
    version: () => Promise.resolve("1"),
    start: () => Promise.reject(new Error("Never started")),
  };
}
