/**
 * A TCP proxy that is a bad network: it cuts connections, refuses new ones, stops to hand on what comes, loses it, or
 * hands it on late and slowly. Backpressure passes through it: what it does not hand on it soon does not read.
 */
import type { Socket } from "bun";

/** `up`: from the client to the server; `down`: from the server to the client. */
export type Way = "up" | "down";

/** How a link is slowed; what is left out does not slow it. */
export interface Slowness {
  readonly bytesPerSecond?: number;
  readonly delayMs?: number;
}

/** Read ahead so much, in each direction of each connection, and no more. */
const aheadMaxBytes = 64 * 1024;
/** A slowed link moves in steps of this length. */
const stepMs = 10;

interface Weather {
  readonly held: Set<Way>;
  readonly lost: Set<Way>;
  slowness: Slowness;
}

export class Proxy implements Disposable {
  readonly port: number;
  readonly #listener: Bun.TCPSocketListener<Passage>;
  readonly #passages = new Set<Passage>();
  readonly #weather: Weather = { held: new Set(), lost: new Set(), slowness: {} };
  #refusing = false;

  constructor(targetPort: number) {
    this.#listener = Bun.listen<Passage>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          if (this.#refusing) {
            socket.terminate();
            return;
          }
          const passage = new Passage(socket, targetPort, this.#weather);
          socket.data = passage;
          this.#passages.add(passage);
          void passage.over.then(() => this.#passages.delete(passage));
        },
        data: (socket, bytes) => socket.data?.up.take(bytes),
        drain: (socket) => socket.data?.down.pump(),
        close: (socket) => socket.data?.closed("up"),
        error: (socket) => socket.data?.cut(),
      },
    });
    this.port = this.#listener.port;
  }

  /** Cuts every connection there is; new ones are accepted. */
  drop(): void {
    for (const passage of [...this.#passages]) passage.cut();
  }

  /** Cuts every connection, and refuses new ones until `mend`. */
  cut(): void {
    this.#refusing = true;
    this.drop();
  }

  /** All is well again; connections that lost something are cut, as no stream goes on behind a hole. */
  mend(): void {
    this.#refusing = false;
    this.#weather.held.clear();
    this.#weather.lost.clear();
    this.#weather.slowness = {};
    for (const passage of [...this.#passages]) if (passage.up.holed || passage.down.holed) passage.cut();
    this.#pump();
  }

  /** Nothing goes this way any more until `mend`; what comes waits, and soon is not read any more. */
  hold(way: Way): void {
    this.#weather.held.add(way);
  }

  /** What goes this way is lost until `mend`. */
  lose(way: Way): void {
    this.#weather.lost.add(way);
  }

  slow(slowness: Slowness): void {
    this.#weather.slowness = slowness;
    this.#pump();
  }

  [Symbol.dispose](): void {
    this.cut();
    this.#listener.stop(true);
  }

  #pump(): void {
    for (const { up, down } of this.#passages) {
      up.pump();
      down.pump();
    }
  }
}

/** One connection through the proxy. */
class Passage {
  readonly up: Pipe;
  readonly down: Pipe;
  readonly over: Promise<void>;
  readonly #end = Promise.withResolvers<void>();
  readonly #client: Socket<Passage>;
  #server: Socket | null = null;
  #isOver = false;

  constructor(client: Socket<Passage>, targetPort: number, weather: Weather) {
    this.over = this.#end.promise;
    this.#client = client;
    this.up = new Pipe("up", weather, client);
    this.down = new Pipe("down", weather, null);
    this.down.to = client;
    const connecting = Bun.connect({
      hostname: "127.0.0.1",
      port: targetPort,
      socket: {
        open: (socket) => this.#reached(socket),
        data: (_, bytes) => this.down.take(bytes),
        drain: () => this.up.pump(),
        close: () => this.closed("down"),
        error: () => this.cut(),
      },
    });
    connecting.catch(() => this.cut());
  }

  /** One side closed: the other one is closed once it has what came before. */
  closed(way: Way): void {
    if (this.#isOver) return;
    const pipe = this[way];
    pipe.ended = () => this.cut(true);
    pipe.pump();
  }

  cut(orderly = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.up.stop();
    this.down.stop();
    for (const socket of [this.#client, this.#server]) {
      if (orderly) socket?.end();
      else socket?.terminate();
    }
    this.#end.resolve();
  }

  #reached(socket: Socket): void {
    if (this.#isOver) {
      socket.terminate();
      return;
    }
    this.#server = socket;
    this.up.to = socket;
    this.down.from = socket;
    this.up.pump();
  }
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly dueMs: number;
}

/** One direction of a connection. */
class Pipe {
  from: Pick<Socket, "pause" | "resume"> | null;
  to: Pick<Socket, "write"> | null = null;
  /** Called once all has been handed on, where nothing more will come. */
  ended: (() => void) | null = null;
  /** Bytes are missing. */
  holed = false;
  readonly #way: Way;
  readonly #weather: Weather;
  #chunks: Chunk[] = [];
  #bytes = 0;
  #paused = false;
  #stopped = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(way: Way, weather: Weather, from: Pipe["from"]) {
    this.#way = way;
    this.#weather = weather;
    this.from = from;
  }

  take(bytes: Uint8Array): void {
    if (this.#weather.lost.has(this.#way)) {
      this.holed = true;
      return;
    }
    this.#chunks.push({ bytes, dueMs: performance.now() + (this.#weather.slowness.delayMs ?? 0) });
    this.#bytes += bytes.length;
    this.pump();
  }

  stop(): void {
    this.#stopped = true;
    this.#chunks = [];
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** Hands on what may go now. */
  pump(): void {
    if (this.#stopped) return;
    if (this.#timer === null) this.#move();
    const full = this.#bytes > aheadMaxBytes;
    if (full !== this.#paused) {
      this.#paused = full;
      if (full) this.from?.pause();
      else this.from?.resume();
    }
    if (this.#chunks.length === 0) this.ended?.();
  }

  #move(): void {
    const { bytesPerSecond = Infinity } = this.#weather.slowness;
    let allowance = Math.ceil((bytesPerSecond * stepMs) / 1000);
    while (this.to !== null && !this.#weather.held.has(this.#way)) {
      const [first] = this.#chunks;
      if (first === undefined) return;
      const waitMs = allowance <= 0 ? stepMs : first.dueMs - performance.now();
      if (waitMs > 0) return this.#later(waitMs);
      const wanted = first.bytes.subarray(0, Math.min(first.bytes.length, allowance));
      const written = Math.max(0, this.to.write(wanted));
      this.#bytes -= written;
      allowance -= written;
      if (written === first.bytes.length) this.#chunks.shift();
      else this.#chunks[0] = { bytes: first.bytes.subarray(written), dueMs: first.dueMs };
      if (written < wanted.length) return;
    }
  }

  #later(waitMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.pump();
    }, waitMs);
  }
}
