/** `gateway/admission.ts`: who comes in, who is refused and how, and that nothing is counted for ever. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Admission, type AdmissionLimits, burstSeconds, Place } from "../../../src/gateway/admission.ts";
import { trustedProxies } from "../../../src/gateway/client-address.ts";
import { FakeClock } from "../../harness/clock.ts";
import { KeptLog } from "../../harness/server.ts";

const off: AdmissionLimits = {
  connectionsMax: 0,
  connectionsPerAddress: 0,
  acceptRate: 0,
  acceptRatePerAddress: 0,
  requestRatePerAddress: 0,
  addressesMax: 1000,
  ipv6Prefix: 64,
};

class World {
  readonly clock = new FakeClock();
  readonly log = new KeptLog();
  readonly admission: Admission;

  constructor(limits: Partial<AdmissionLimits>, proxies: readonly string[] = []) {
    const { clock, log } = this;
    this.admission = new Admission({ ...off, ...limits, trustedProxies: trustedProxies(proxies), clock, log });
  }

  /** The place, or what was answered. */
  admit(address: string, headers: Record<string, string> = {}): Place | string {
    return told(this.admission.admit({ address, secure: null }, new Headers(headers)));
  }

  allow(address: string): string | null {
    const answer = this.admission.allow({ address, secure: null }, new Headers());
    return answer === null ? null : (told(answer) as string);
  }

  /** How many of `count` came in. */
  admitted(count: number, address: string): number {
    return Array.from({ length: count }, () => this.admit(address)).filter((one) => one instanceof Place).length;
  }
}

/** Status, code is left to the documents; and seconds until a retry. */
function told(answer: Place | Response): Place | string {
  return answer instanceof Place ? answer : `${answer.status} ${answer.headers.get("retry-after")}`;
}

function release(one: Place | string): void {
  if (!(one instanceof Place)) throw new Error(`Refused: ${one}`);
  one.release();
}

test("with every limit off everybody comes in, and nothing is remembered", () => {
  const world = new World({});
  expect([world.admitted(5000, "192.0.2.1"), world.allow("192.0.2.1"), world.admission.addresses]).toEqual([
    5000,
    null,
    0,
  ]);
});

describe("connections at one time", () => {
  test("are bounded in all, and a place that is given up is free at once", () => {
    const world = new World({ connectionsMax: 2 });
    const first = world.admit("192.0.2.1");
    world.admit("192.0.2.2");
    expect(world.admit("192.0.2.3")).toBe("503 5");
    release(first);
    release(first);
    expect([world.admitted(2, "192.0.2.3"), world.admission.counts.full]).toEqual([1, 2]);
  });

  test("are bounded for an address, whatever others do", () => {
    const world = new World({ connectionsPerAddress: 3 });
    expect([world.admitted(5, "192.0.2.1"), world.admitted(5, "192.0.2.2")]).toEqual([3, 3]);
    expect(world.admit("192.0.2.1")).toBe("429 5");
    expect(world.admission.counts["address-connections"]).toBe(5);
  });

  test("count an IPv6 prefix as one address", () => {
    const world = new World({ connectionsPerAddress: 3 });
    const inside = Array.from({ length: 9 }, (_, i) => world.admit(`2001:db8:1:2:${i}::1`));
    expect(inside.filter((one) => one instanceof Place)).toHaveLength(3);
    expect(world.admit("2001:db8:1:3::1")).toBeInstanceOf(Place);
  });
});

describe("connections a second", () => {
  test("are bounded in all with a burst, and the answer says when there is one more", () => {
    const world = new World({ acceptRate: 2 });
    expect(world.admitted(30, "127.0.0.1")).toBe(2 * burstSeconds);
    expect(world.admit("127.0.0.1")).toBe("503 1");
    world.clock.advance(1000);
    expect(world.admitted(5, "127.0.0.1")).toBe(2);
  });

  test("are bounded for an address, also where each is given up at once", () => {
    const world = new World({ acceptRatePerAddress: 1 });
    for (let i = 0; i < burstSeconds; i++) release(world.admit("192.0.2.1"));
    expect(world.admit("192.0.2.1")).toBe("429 1");
    expect(world.admit("192.0.2.2")).toBeInstanceOf(Place);
    world.clock.advance(1000);
    expect(world.admitted(3, "192.0.2.1")).toBe(1);
  });

  test("of an address that is refused take nothing from the others", () => {
    const world = new World({ acceptRate: 2, acceptRatePerAddress: 1 });
    expect([world.admitted(500, "192.0.2.1"), world.admitted(500, "192.0.2.2")]).toEqual([10, 10]);
  });
});

test("plain requests a second are bounded for an address", () => {
  const world = new World({ requestRatePerAddress: 1 });
  const answers = Array.from({ length: burstSeconds + 1 }, () => world.allow("192.0.2.1"));
  expect(answers.filter((answer) => answer === null)).toHaveLength(burstSeconds);
  expect([answers.at(-1), world.allow("192.0.2.2")]).toEqual(["429 1", null]);
  world.clock.advance(1000);
  expect(world.allow("192.0.2.1")).toBeNull();
});

describe("loopback", () => {
  const limits = { connectionsPerAddress: 1, acceptRatePerAddress: 1, requestRatePerAddress: 1 };

  test.each(["127.0.0.1", "127.3.2.1", "::1"])("is not limited as an address: %s", (address) => {
    const world = new World(limits);
    expect(world.admitted(100, address)).toBe(100);
    for (let i = 0; i < 100; i++) expect(world.allow(address)).toBeNull();
    expect(world.admission.addresses).toBe(0);
  });

  test("is limited once a proxy is trusted", () => {
    const world = new World(limits, ["10.0.0.1"]);
    expect(world.admitted(100, "127.0.0.1")).toBe(1);
  });
});

describe("what is known of addresses", () => {
  test("is forgotten once the clock has made it meaningless, and not while a connection is open", () => {
    const world = new World({ connectionsPerAddress: 5, acceptRatePerAddress: 1 });
    const place = world.admit("192.0.2.1");
    release(world.admit("192.0.2.2"));
    expect(world.admission.addresses).toBe(2);
    world.clock.advance(burstSeconds * 1000 + 1000);
    expect(world.admission.addresses).toBe(1);
    release(place);
    world.clock.advance(burstSeconds * 1000 + 1000);
    expect(world.admission.addresses).toBe(0);
  });

  test("is bounded: who has no connection is forgotten first, and where all have one others are refused", () => {
    const world = new World({
      connectionsPerAddress: 5,
      acceptRatePerAddress: 1,
      requestRatePerAddress: 9,
      addressesMax: 3,
    });
    for (let i = 0; i < 50; i++) release(world.admit(`192.0.2.${i}`));
    expect(world.admission.addresses).toBe(3);
    const places = [1, 2, 3].map((i) => world.admit(`198.51.100.${i}`));
    expect([world.admit("192.0.2.1"), world.admission.addresses, world.admission.counts.addresses]).toEqual([
      "503 5",
      3,
      1,
    ]);
    // One that is known still comes in, and a plain request holds nothing.
    expect(world.admit("198.51.100.2")).toBeInstanceOf(Place);
    expect(world.allow("192.0.2.1")).toBeNull();
    places.forEach(release);
    expect(world.admit("192.0.2.1")).toBeInstanceOf(Place);
  });

  test("agrees with counting by hand, whoever comes and goes", () => {
    const step = fc.record({ address: fc.nat({ max: 5 }), leaves: fc.boolean(), ms: fc.nat({ max: 4000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const world = new World({ connectionsMax: 8, connectionsPerAddress: 3, addressesMax: 4 });
        const open = new Map<number, Place[]>();
        let total = 0;
        for (const { address, leaves, ms } of steps) {
          const places = open.get(address) ?? [];
          open.set(address, places);
          const busy = [...open.values()].filter(({ length }) => length > 0).length;
          if (leaves) {
            if (places.length > 0) total--;
            places.pop()?.release();
          } else {
            const place = world.admit(`192.0.2.${address}`);
            const fits = total < 8 && places.length < 3 && (places.length > 0 || busy < 4);
            expect(place instanceof Place).toBe(fits);
            if (place instanceof Place) total = places.push(place) > 0 ? total + 1 : total;
          }
          world.clock.advance(ms);
          expect(world.admission.addresses).toBeLessThanOrEqual(4);
        }
      }),
    );
  });
});

describe("the log", () => {
  test("names the source and the reason, once a second with a count", () => {
    const world = new World({ connectionsPerAddress: 1 });
    world.admitted(10, "2001:db8::7");
    world.clock.advance(1000);
    const fields = { from: "2001:db8::/64", reason: "address-connections" };
    expect(world.log.of("connection refused").map((entry) => entry.fields)).toEqual([fields, { ...fields, count: 8 }]);
    world.admission.close();
    expect(world.clock.timers).toBe(0);
  });

  test("gives a hint where an address looks like a proxy that nobody named", () => {
    const headers = { "x-forwarded-for": "192.0.2.1" };
    const hinted = [new World({ connectionsPerAddress: 1 }), new World({ connectionsPerAddress: 1 }, ["10.0.0.1"])].map(
      (world) => {
        world.admit("203.0.113.1", headers);
        world.admit("203.0.113.1", headers);
        return "hint" in (world.log.of("connection refused")[0]?.fields ?? {});
      },
    );
    expect(hinted).toEqual([true, false]);
  });
});
