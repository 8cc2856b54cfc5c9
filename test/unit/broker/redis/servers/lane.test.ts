import { expect, test } from "bun:test";
import { Lane } from "../../../../../src/broker/redis/servers/lane.ts";

class Again extends Error {
  override readonly name = "Again";
}

/** A server that answers in the order of what it is sent, and refuses while it is told to. */
class Server {
  readonly done: string[] = [];
  refusing = false;
  remedies = 0;
  readonly lane = new Lane((reason) => {
    if (!(reason instanceof Again)) return null;
    return async () => {
      this.remedies++;
      await Promise.resolve();
      this.refusing = false;
    };
  });

  send(name: string): Promise<unknown> {
    return this.lane.run(async () => {
      const isRefused = this.refusing;
      await Promise.resolve();
      if (isRefused) throw new Again(name);
      if (name === "bad") throw new Error(name);
      this.done.push(name);
      return name;
    });
  }
}

test("what is refused is done again in its order, before what came later", async () => {
  const server = new Server();
  server.refusing = true;
  const first = ["a", "b"].map((name) => server.send(name));
  await Promise.resolve();
  await Promise.resolve();
  const later = ["c", "d"].map((name) => server.send(name));
  expect(await Promise.all([...first, ...later])).toEqual(["a", "b", "c", "d"]);
  expect([server.done, server.remedies]).toEqual([["a", "b", "c", "d"], 1]);
});

test("an error without a remedy is told, and holds nobody up", async () => {
  const server = new Server();
  const bad = server.send("bad");
  expect(bad).rejects.toThrow("bad");
  expect(await server.send("a")).toBe("a");
  expect(server.remedies).toBe(0);
});
