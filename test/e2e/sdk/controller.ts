/**
 * The test's end of the matrix: starts servers, puts a bad network before them, publishes from elsewhere, and does to
 * them what the scenario that runs asks for. One scenario at a time.
 */
import type { ServerWebSocket } from "bun";
import { op } from "../../../src/wire/messages.ts";
import { within } from "../../harness/deadline.ts";
import { Proxy } from "../../harness/proxy.ts";
import { type ServerProcess, startProcess } from "../../harness/server.ts";
import type { WireClient } from "../../harness/wire-client.ts";
import { mint, secret } from "../../unit/auth/mint.ts";
import type { Down, ServerSpec, Up, Verbs } from "./verbs.ts";

const toml = `
[[keys]]
algorithm = "HS256"
secret = "${secret}"
[[tags]]
pattern = "log/#"
history = { size = 5000 }
[[tags]]
pattern = "short/#"
history = { size = 5 }
[[tags]]
pattern = "kept/#"
retain = true
[[tags]]
pattern = "room/#"
history = { size = 100 }
presence = true
`;
const token = "admin-token-of-the-matrix";
/** A scenario has its own deadlines; this one is for a runtime that hangs. */
const scenarioMs = 18_000;
/** Publishes that wait for their answer at one time, and about how many bytes: a burst beyond that costs slow readers their connection. */
const windowMax = 64;
const windowBytes = 256 * 1024;

/** The server of one scenario, and the network before it. */
class World implements AsyncDisposable {
  readonly #flags: readonly string[];
  readonly #config: string;
  #server: ServerProcess | null = null;
  #proxy: Proxy | null = null;
  #publisher: WireClient | null = null;
  #port = 0;

  constructor(config: string, { flags = [] }: ServerSpec) {
    this.#config = config;
    this.#flags = flags;
  }

  get server(): ServerProcess {
    if (this.#server === null) throw new Error("The server does not run");
    return this.#server;
  }

  get proxy(): Proxy {
    if (this.#proxy === null) throw new Error("The server was never started");
    return this.#proxy;
  }

  async start(): Promise<void> {
    const args = [
      "--config",
      this.#config,
      "--port",
      String(this.#port),
      "--admin-token",
      token,
      "--log-level",
      "warn",
      // The page of the matrix is the controller's, not the server's.
      "--allowed-origins",
      "*",
    ];
    this.#server = await startProcess({ args: [...args, ...this.#flags] });
    this.#server.token = token;
    this.#port = Number(new URL(this.#server.url).port);
    this.#proxy ??= new Proxy(this.#port);
  }

  /** Ends it, by a signal. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const { server } = this;
    this.#server = null;
    this.#publisher = null;
    server.signal(signal);
    await server.end(10_000);
  }

  async publish(tag: string, from: number, to: number, fillBytes: number): Promise<void> {
    this.#publisher ??= await this.server.connect();
    const publisher = this.#publisher;
    const fill = fillBytes > 0 ? { fill: new Uint8Array(fillBytes) } : {};
    const window = Math.min(windowMax, Math.ceil(windowBytes / (fillBytes + 1)));
    for (let n = from; n <= to; n += window) {
      const numbers = Array.from({ length: Math.min(window, to - n + 1) }, (_, i) => n + i);
      await Promise.all(numbers.map((number) => publisher.ok(op.publish, tag, { n: number, ...fill })));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#proxy?.[Symbol.dispose]();
    this.#server?.signal("SIGCONT");
    await this.#server?.[Symbol.asyncDispose]();
  }
}

/** One runtime, connected to the controller. */
class Peer {
  readonly #socket: ServerWebSocket<unknown>;
  readonly #config: string;
  readonly #gone = Promise.withResolvers<never>();
  #world: World | null = null;
  #done: PromiseWithResolvers<string | null> | null = null;

  constructor(socket: ServerWebSocket<unknown>, config: string) {
    this.#socket = socket;
    this.#config = config;
    this.#gone.promise.catch(() => {});
  }

  /** Runs a scenario; what went wrong, or null. */
  async run(name: string): Promise<string | null> {
    this.#done = Promise.withResolvers();
    this.#send({ run: name });
    try {
      return await within(Promise.race([this.#done.promise, this.#gone.promise]), `the end of "${name}"`, scenarioMs);
    } finally {
      await this.#world?.[Symbol.asyncDispose]();
      this.#world = null;
    }
  }

  take(text: string): void {
    const message = JSON.parse(text) as Up;
    if ("done" in message) return this.#done?.resolve(message.error);
    const { call, verb, args } = message;
    // What it was is known to the scenario alone, which is part of the test.
    const run = this.#verbs[verb] as (...args: readonly unknown[]) => Promise<unknown>;
    run(...args).then(
      (result) => this.#send({ answer: call, result }),
      (error: unknown) => this.#send({ answer: call, error: `${verb}: ${String(error)}` }),
    );
  }

  gone(): void {
    this.#gone.reject(new Error("The runtime is gone"));
  }

  readonly #verbs: Verbs = {
    open: async (spec) => {
      this.#world = new World(this.#config, spec);
      await this.#world.start();
      return { url: `ws://127.0.0.1:${this.#world.proxy.port}/ws`, token };
    },
    kill: () => this.#in((world) => world.end("SIGKILL")),
    stop: () => this.#in((world) => world.end("SIGTERM")),
    start: () => this.#in((world) => world.start()),
    freeze: () => this.#in((world) => world.server.signal("SIGSTOP")),
    thaw: () => this.#in((world) => world.server.signal("SIGCONT")),
    drop: () => this.#in((world) => world.proxy.drop()),
    cut: () => this.#in((world) => world.proxy.cut()),
    mend: () => this.#in((world) => world.proxy.mend()),
    hold: (way) => this.#in((world) => world.proxy.hold(way)),
    lose: (way) => this.#in((world) => world.proxy.lose(way)),
    slow: (slowness) => this.#in((world) => world.proxy.slow(slowness)),
    publish: (tag, from, to, fillBytes) => this.#in((world) => world.publish(tag, from, to, fillBytes)),
    sign: ({ lifeMs, grants = { "#": ["readwrite"] } }) =>
      mint({ sub: "matrix", exp: (Date.now() + lifeMs) / 1000, grants }),
  };

  async #in(act: (world: World) => void | Promise<void>): Promise<void> {
    if (this.#world === null) throw new Error("No server was opened");
    await act(this.#world);
  }

  #send(message: Down): void {
    this.#socket.send(JSON.stringify(message));
  }
}

export class Controller implements AsyncDisposable {
  readonly url: string;
  readonly pageUrl: string;
  readonly #server: Bun.Server<{ peer: Peer | null }>;
  #waiting = Promise.withResolvers<Peer>();

  /** `script`: the runner as a browser takes it; `config`: where the configuration of the servers may be written. */
  static async start(script: Blob, config: string): Promise<Controller> {
    await Bun.write(config, toml);
    return new Controller(script, config);
  }

  constructor(script: Blob, config: string) {
    this.#server = Bun.serve<{ peer: Peer | null }>({
      hostname: "127.0.0.1",
      port: 0,
      development: false,
      routes: {
        "/": () => new Response(`<!doctype html><script type="module" src="/page.js"></script>`, html),
        "/page.js": () => new Response(script, { headers: { "content-type": "text/javascript" } }),
      },
      fetch: (request, server) =>
        server.upgrade(request, { data: { peer: null } }) ? undefined : new Response(null, { status: 404 }),
      websocket: {
        maxPayloadLength: 1024 * 1024,
        idleTimeout: 0,
        open: (socket) => {
          socket.data.peer = new Peer(socket, config);
          this.#waiting.resolve(socket.data.peer);
        },
        message: (socket, text) => socket.data.peer?.take(String(text)),
        close: (socket) => socket.data.peer?.gone(),
      },
    });
    this.pageUrl = `http://127.0.0.1:${this.#server.port}/`;
    this.url = `ws://127.0.0.1:${this.#server.port}/control`;
  }

  /** The next runtime that connects. */
  async peer(): Promise<Peer> {
    const peer = await within(this.#waiting.promise, "a runtime", 15_000);
    this.#waiting = Promise.withResolvers();
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

const html = { headers: { "content-type": "text/html" } };
