import { describe, expect, test } from "bun:test";
import type { TlsOptions } from "../../../src/gateway/certificates.ts";
import { PortListener, retiredMax, type Served } from "../../../src/gateway/listener.ts";
import type { NativeServer } from "../../../src/hub/subscriber.ts";
import { FakeClock } from "../../harness/clock.ts";
import { KeptLog } from "../../harness/server.ts";

const first: TlsOptions = [{ key: "first" }];
const second: TlsOptions = [{ key: "second" }];
const bad: TlsOptions = [{ key: "bad" }];

/** A port as the system keeps it, and servers of which each says when it is left. */
class FakePort {
  readonly clock = new FakeClock();
  readonly log = new KeptLog();
  readonly events: string[] = [];
  readonly dispersed: NativeServer[] = [];
  readonly started: Served[] = [];
  readonly left: (() => void)[] = [];
  takenByOther = false;
  #listening = 0;
  readonly #reusePort: boolean;

  constructor(reusePort = false) {
    this.#reusePort = reusePort;
  }

  open(tls: TlsOptions | null = null): PortListener {
    return new PortListener({
      port: 0,
      reusePort: this.#reusePort,
      tls,
      clock: this.clock,
      log: this.log,
      start: (port, options) => this.#start(port, options),
      disperse: (topics) => void this.dispersed.push(topics),
    });
  }

  #start(port: number, tls: TlsOptions | null): Served {
    const name = (tls?.[0]?.key as string | undefined) ?? "plain";
    if (this.takenByOther || (this.#listening > 0 && !this.#reusePort)) throw new Error("EADDRINUSE");
    if (name === "bad") throw new Error("not a key");
    this.#listening++;
    this.events.push(`${name} listens on ${port}`);
    const { promise, resolve } = Promise.withResolvers<void>();
    let stopped = false;
    const stop = (force: boolean) => {
      if (!stopped) this.#listening--;
      stopped = true;
      this.events.push(`${name} ${force ? "ends" : "stops"}`);
      if (force) resolve();
      return promise;
    };
    this.left.push(resolve);
    const served = { server: { port: port || 5000, stop }, topics: { publish() {} } };
    this.started.push(served);
    return served;
  }
}

/** What follows from a promise that has settled. */
const settled = () => Promise.resolve().then(() => {});

describe("PortListener", () => {
  test("takes the port to itself: the next server listens once the one before does not", () => {
    const port = new FakePort();
    const listener = port.open(first);
    listener.use(second);
    expect(listener.port).toBe(5000);
    expect(port.events).toEqual(["first listens on 0", "first stops", "second listens on 5000"]);
  });

  test("leaves no moment without a listener on a port that may be shared", () => {
    const port = new FakePort(true);
    port.open(first).use(second);
    expect(port.events).toEqual(["first listens on 0", "second listens on 5000", "first stops"]);
  });

  test.each([true, false])(
    "goes on with the certificates before where others cannot be used (shared: %p)",
    (shared) => {
      const port = new FakePort(shared);
      const listener = port.open(first);
      expect(() => listener.use(bad)).toThrow("not a key");
      expect(listener.listening).toBe(true);
      expect(port.events.filter((event) => event.startsWith("bad"))).toEqual([]);
      listener.pause();
      listener.resume();
      expect(port.events.at(-1)).toBe("first listens on 5000");
    },
  );

  test("does not listen while it is paused, and listens with what came meanwhile", () => {
    const port = new FakePort();
    const listener = port.open(first);
    listener.pause();
    listener.pause();
    listener.use(second);
    expect([listener.listening, listener.counts.pauses]).toEqual([false, 1]);
    listener.resume();
    listener.resume();
    expect(listener.listening).toBe(true);
    expect(port.events).toEqual(["first listens on 0", "first stops", "second listens on 5000"]);
  });

  test("tries until the port is free where somebody took it meanwhile, and says so once", () => {
    const port = new FakePort();
    const listener = port.open();
    listener.pause();
    port.takenByOther = true;
    listener.resume();
    port.clock.advance(5000);
    expect(listener.listening).toBe(false);
    expect(port.log.entries).toMatchObject([{ level: "error", fields: { port: 5000 } }]);
    port.takenByOther = false;
    port.clock.advance(500);
    expect(listener.listening).toBe(true);
    expect(port.log.entries.at(-1)).toMatchObject({ level: "info", message: "listening again" });
    expect(port.clock.timers).toBe(0);
  });

  test("does not listen again once it is stopped", () => {
    const port = new FakePort();
    const listener = port.open();
    listener.pause();
    port.takenByOther = true;
    listener.resume();
    listener.stop();
    port.takenByOther = false;
    port.clock.advance(5000);
    listener.resume();
    expect([listener.listening, port.clock.timers]).toEqual([false, 0]);
  });

  test("forgets a server once everybody has left it", async () => {
    const port = new FakePort();
    const listener = port.open(first);
    listener.use(second);
    await settled();
    expect(listener.retired).toBe(1);
    port.left[0]?.();
    await settled();
    expect(listener.retired).toBe(0);
  });

  test("asks the clients of the oldest servers to come back where there are too many", () => {
    const port = new FakePort();
    const listener = port.open(first);
    for (let i = 0; i < retiredMax; i++) listener.use(second);
    expect(port.dispersed).toEqual([]);
    listener.use(second);
    expect(port.dispersed).toEqual([port.started[0]?.topics as NativeServer]);
  });

  test("ends all servers, also those that no longer listen", async () => {
    const port = new FakePort();
    const listener = port.open(first);
    listener.use(second);
    await listener.close();
    expect(port.events.slice(-2).sort()).toEqual(["first ends", "second ends"]);
    expect(listener.retired).toBe(0);
  });
});
