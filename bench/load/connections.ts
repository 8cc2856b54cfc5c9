/**
 * Many idle connections in one process: `bun bench/load/connections.ts [connections] [cycles]`.
 * Starts a server and a driver process. In each cycle the driver opens its connections with one subscription each, one
 * message is published, every connection must get it, then all leave. Prints the server's resident memory per
 * connection and after each cycle: a leak shows as growth from cycle to cycle. Exit status 1 if a message was missed.
 */
import { decodeMulti, encode } from "@msgpack/msgpack";
import { readFileSync } from "node:fs";

const connections = Number(process.argv[2] ?? 10_000);
const cycles = Number(process.argv[3] ?? 3);
const token = "benchmark-admin-token";
if (!(connections > 0 && cycles > 0)) {
  console.log("Usage: bun bench/load/connections.ts [connections, default 10000] [cycles, default 3]");
  process.exit(2);
}
/** Handshakes under way at once. */
const opening = 200;

if (process.env["TAGCAST_BENCH_URL"] === undefined) await measure();
else await drive(process.env["TAGCAST_BENCH_URL"]);

async function measure(): Promise<void> {
  const server = Bun.spawn(
    ["bun", "src/main.ts", "serve", "--port", "0", "--admin-token", token, "--log-level", "warn"],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const url = /ws:\S+/.exec(await firstLine(server.stdout))?.[0];
  if (url === undefined) throw new Error("The server did not say where it listens");
  const driver = Bun.spawn(["bun", import.meta.path, String(connections), String(cycles)], {
    env: { ...process.env, TAGCAST_BENCH_URL: url },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  console.log(`start: server ${mib(residentBytes(server.pid))} MiB`);
  let idleBytes = residentBytes(server.pid);
  for await (const line of lines(driver.stdout)) {
    const bytes = residentBytes(server.pid);
    const each = line.startsWith("open")
      ? `, ${((bytes - idleBytes) / connections / 1000).toFixed(2)} kB a connection`
      : "";
    console.log(`${line}: server ${mib(bytes)} MiB${each}`);
    if (line.startsWith("left")) idleBytes = bytes;
    void driver.stdin.write("go\n");
    void driver.stdin.flush();
  }
  const status = await driver.exited;
  server.kill("SIGTERM");
  await server.exited;
  process.exit(status);
}

/** Runs the cycles; waits for a line of standard input after each report, so that memory is read at that moment. */
async function drive(url: string): Promise<void> {
  const go = lines(Bun.stdin.stream());
  const report = async (text: string) => {
    console.log(text);
    await go.next();
  };
  for (let cycle = 1; cycle <= cycles; cycle++) {
    let got = 0;
    const all = Promise.withResolvers<void>();
    const heard = () => {
      if (++got === connections) all.resolve();
    };
    const started = performance.now();
    const sockets = await openAll(url, heard);
    await report(`open, cycle ${cycle}: ${connections} in ${Math.round(performance.now() - started)} ms`);
    const published = performance.now();
    sockets[0]?.send(encode([4, 3, "bench/all", "hello"]));
    await Promise.race([all.promise, Bun.sleep(10_000)]);
    await report(`published: ${got} of ${connections} got it in ${Math.round(performance.now() - published)} ms`);
    const closed = Promise.all(sockets.map((socket) => new Promise((done) => (socket.onclose = done))));
    for (const socket of sockets) socket.close();
    await closed;
    await Bun.sleep(1500);
    await report(`left, cycle ${cycle}`);
    if (got !== connections) process.exit(1);
  }
  process.exit(0);
}

async function openAll(url: string, heard: () => void): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  const worker = async () => {
    while (sockets.length < connections) {
      const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
      sockets.push(socket);
      await subscribed(socket, heard);
    }
  };
  await Promise.all(Array.from({ length: opening }, worker));
  return sockets;
}

function subscribed(socket: WebSocket, heard: () => void): Promise<void> {
  socket.binaryType = "arraybuffer";
  return new Promise((done, failed) => {
    socket.onerror = () => failed(new Error("A connection was refused"));
    socket.onopen = () => socket.send(encode([2, 1, "bench/all"]));
    socket.onmessage = ({ data }) => {
      for (const message of decodeMulti(new Uint8Array(data as ArrayBuffer)) as Iterable<unknown[]>) {
        if (message[0] === 16) done();
        else if (message[0] === 18) heard();
      }
    };
  });
}

function residentBytes(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

function mib(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const { value } = await lines(stream).next();
  return value ?? "";
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
