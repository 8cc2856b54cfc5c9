/** Commands of a test's own to a Redis server, each on a connection of its own. */
import { RedisClient } from "bun";
import { createServer } from "node:net";

/** Sends one command and resolves with its answer. Rejected where the server is away or answers with an error. */
export async function ask(port: number, command: string, ...args: readonly string[]): Promise<unknown> {
  const client = new RedisClient(`redis://127.0.0.1:${port}`, { autoReconnect: false, connectionTimeout: 2000 });
  try {
    return await client.send(command, [...args]);
  } finally {
    client.close();
  }
}

/** A port that nobody listens on now. */
export async function sparePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
