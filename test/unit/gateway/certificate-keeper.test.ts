import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { copyFile, rm, writeFile } from "node:fs/promises";
import {
  type CertificateKeeper,
  expiresSoonMs,
  lookEveryMs,
  openCertificateKeeper,
} from "../../../src/gateway/certificate-keeper.ts";
import type { TlsOptions } from "../../../src/gateway/certificates.ts";
import { Authority, type Pair } from "../../harness/certificates.ts";
import { FakeClock } from "../../harness/clock.ts";
import { KeptLog, scratchDirectory } from "../../harness/server.ts";

const dayMs = 24 * 3_600_000;
const refusal = "new certificates refused: those before stay";

let place: ReturnType<typeof scratchDirectory>;
let authority: Authority;
let served: Pair;
let next: Pair;
let clock: FakeClock;
let log: KeptLog;
let used: TlsOptions[];

beforeEach(async () => {
  place = scratchDirectory();
  authority = await Authority.create(place.path);
  served = await authority.issue("served", ["a.test"]);
  next = await authority.issue("next", ["next.test"]);
  // A second later: certificates hold whole seconds.
  clock = new FakeClock(Date.now() + 1000);
  log = new KeptLog();
  used = [];
});
afterEach(() => place[Symbol.dispose]());

const sources = () => ({
  ...{ tlsCert: [served.cert], tlsKey: [served.key], tlsMin: "1.2" as const },
  tlsClientCa: null,
});

async function open(): Promise<CertificateKeeper> {
  const keeper = await openCertificateKeeper({ sources: sources(), clock, log });
  keeper.follow((tls) => void used.push(tls));
  return keeper;
}

async function look(keeper: CertificateKeeper, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await keeper.look();
}

async function replace(): Promise<void> {
  await copyFile(next.cert, served.cert);
  await copyFile(next.key, served.key);
}

const names = (keeper: CertificateKeeper) => keeper.certificates.flatMap((certificate) => certificate.names);

describe("CertificateKeeper", () => {
  test("takes up new files once they rest", async () => {
    const keeper = await open();
    await look(keeper, 2);
    await replace();
    await look(keeper, 1);
    expect(names(keeper)).toEqual(["a.test"]);
    await look(keeper, 1);
    expect(names(keeper)).toEqual(["next.test"]);
    expect(used).toMatchObject([[{ key: await Bun.file(next.key).text() }]]);
    await look(keeper, 3);
    expect([used.length, keeper.counts]).toEqual([1, { taken: 1, refused: 0 }]);
  });

  test("looks by itself", async () => {
    const keeper = await open();
    await replace();
    clock.advance(lookEveryMs);
    // The second look, once the first is over.
    await keeper.look();
    expect(names(keeper)).toEqual(["next.test"]);
  });

  test("a renewal that is under way is neither taken nor complained about", async () => {
    const keeper = await open();
    await copyFile(next.cert, served.cert);
    await look(keeper, 1);
    await copyFile(next.key, served.key);
    await look(keeper, 2);
    expect(names(keeper)).toEqual(["next.test"]);
    expect(log.of(refusal)).toEqual([]);
  });

  test("when told to it takes them up at once", async () => {
    const keeper = await open();
    await replace();
    await keeper.reload();
    expect(names(keeper)).toEqual(["next.test"]);
    await keeper.reload();
    expect(log.of("certificates are as they were")).toHaveLength(1);
    expect(used).toHaveLength(1);
  });

  test.each([
    ["a key that belongs to another", () => copyFile(next.key, served.key), /is not the key/],
    ["what is no certificate", () => writeFile(served.cert, "x"), /holds no certificate/],
    ["a file that is gone", () => rm(served.cert), /no such file/],
  ])("%s is refused once, and what was before stays", async (_, spoil, reason) => {
    const keeper = await open();
    const { tls } = keeper;
    await spoil();
    await look(keeper, 5);
    expect(log.of(refusal)).toMatchObject([{ level: "error", fields: { reason: expect.stringMatching(reason) } }]);
    expect([keeper.tls, used, keeper.counts]).toEqual([tls, [], { taken: 0, refused: 1 }]);
    await replace();
    await look(keeper, 2);
    expect(names(keeper)).toEqual(["next.test"]);
  });

  test("one that has expired, or is not valid yet, is refused where another is served", async () => {
    const keeper = await open();
    clock.jumpWall(91 * dayMs);
    await replace();
    await keeper.reload();
    clock.jumpWall(-200 * dayMs);
    await copyFile(next.cert, served.cert);
    await writeFile(served.key, `\n${await Bun.file(next.key).text()}`);
    await keeper.reload();
    const reasons = log.of(refusal).map(({ fields }) => String(fields["reason"]));
    expect(reasons).toEqual([expect.stringContaining("which is not now"), expect.stringContaining("which is not now")]);
    expect(names(keeper)).toEqual(["a.test"]);
  });

  test("what the port does not take is refused", async () => {
    const keeper = await openCertificateKeeper({ sources: sources(), clock, log });
    keeper.follow(() => {
      throw new Error("cannot listen");
    });
    await replace();
    await keeper.reload();
    expect(names(keeper)).toEqual(["a.test"]);
    expect(log.of(refusal)).toMatchObject([{ fields: { reason: "cannot listen" } }]);
  });

  test("says once a day that one expires soon, and that it has", async () => {
    const soon = "a certificate expires soon";
    const keeper = await open();
    clock.advance(90 * dayMs - expiresSoonMs - dayMs);
    expect(log.of(soon)).toEqual([]);
    clock.advance(3 * dayMs);
    expect(log.of(soon).length).toBeWithin(2, 4);
    expect(log.of(soon)[0]).toMatchObject({ level: "warn", fields: { path: served.cert, names: ["a.test"] } });
    clock.advance(expiresSoonMs);
    expect(log.of("a certificate has expired: clients refuse it")).not.toEqual([]);
    const [[name, seconds] = ["", 0]] = [...keeper.expiries()];
    expect([name, seconds < 0]).toEqual(["a.test", true]);
    keeper.close();
    expect(clock.timers).toBe(0);
  });

  test("one that is not valid at the start is served all the same, and told", async () => {
    clock.jumpWall(-10 * dayMs);
    const keeper = await open();
    expect(names(keeper)).toEqual(["a.test"]);
    expect(log.entries).toMatchObject([
      { level: "error", message: "a certificate is not valid yet: is the clock right?" },
    ]);
  });
});
