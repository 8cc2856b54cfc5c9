/** Commands of a test's own to a Redis server, each on a connection of its own. */
import { RedisClient } from "bun";
import { createServer } from "node:net";

/** By port: what vouches for the server that speaks TLS there. */
const authorities = new Map<number, string>();

/** From now on the server on a port is asked by TLS. `ca`: PEM. */
export function askByTls(port: number, ca: string): void {
  authorities.set(port, ca);
}

/** Sends one command and resolves with its answer. Rejected where the server is away or answers with an error. */
export async function ask(port: number, command: string, ...args: readonly string[]): Promise<unknown> {
  const [answer] = await askAll(port, [[command, ...args]]);
  return answer;
}

/** Sends commands as one, so that none of others comes between. */
export async function askAll(port: number, commands: readonly (readonly string[])[]): Promise<unknown[]> {
  const ca = authorities.get(port);
  const client = new RedisClient(`redis${ca === undefined ? "" : "s"}://127.0.0.1:${port}`, {
    autoReconnect: false,
    connectionTimeout: 2000,
    ...(ca === undefined ? {} : { tls: { ca } }),
  });
  try {
    return await Promise.all(commands.map(([command = "", ...args]) => client.send(command, args)));
  } finally {
    client.close();
  }
}

/** Ports given out: what asked for one may not listen on it yet. */
const given = new Set<number>();

/**
 * A port that nobody listens on now, and that nobody here was given before, below those that the kernel gives to outgoing connections: what listens there can be
 * ended and started again.
 */
export async function sparePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (given.has(port)) continue;
    given.add(port);
    if (await isSpare(port)) return port;
  }
}

function isSpare(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
