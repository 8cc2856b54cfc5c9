import { expect, test } from "bun:test";
import { LoadMeter } from "../../../src/observe/load.ts";
import { FakeClock } from "../../harness/clock.ts";

test("rates are of the time since they were last asked for, and hold where that was a moment ago", () => {
  const clock = new FakeClock();
  const totals = { messages: 100, deliveries: 0 };
  const meter = new LoadMeter(clock, () => ({ ...totals }));
  expect(meter.read()).toEqual({ messagesPerSecond: 0, deliveriesPerSecond: 0, cpu: 0 });
  totals.messages += 20;
  totals.deliveries += 200;
  clock.advance(2000);
  const load = meter.read();
  expect(load).toMatchObject({ messagesPerSecond: 10, deliveriesPerSecond: 100 });
  totals.messages += 1000;
  clock.advance(500);
  expect(meter.read()).toBe(load);
  clock.advance(500);
  expect(meter.read()).toMatchObject({ messagesPerSecond: 1000, deliveriesPerSecond: 0 });
});

test("the share of a processor grows with work", () => {
  const clock = new FakeClock();
  const meter = new LoadMeter(clock, () => ({ messages: 0, deliveries: 0 }));
  const { user, system } = process.cpuUsage();
  const spent = () => process.cpuUsage({ user, system });
  while (spent().user + spent().system < 20_000) JSON.stringify({ work: performance.now() });
  clock.advance(1000);
  expect(meter.read().cpu).toBeGreaterThan(0.01);
});
