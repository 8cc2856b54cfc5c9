/**
 * Socket.IO with a room per tag, over WebSocket alone. `node socketio-server.mjs [--compression] [--redis <program> <folder>]`:
 * with the Redis adapter in front of a Redis of its own, whose data stands in `folder`. Its first line says where it listens.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const { values, positionals } = parseArgs({
  options: { compression: { type: "boolean", default: false }, redis: { type: "boolean", default: false } },
  allowPositionals: true,
});

const server = createServer();
const io = new Server(server, {
  transports: ["websocket"],
  serveClient: false,
  perMessageDeflate: values.compression,
  maxHttpBufferSize: 16 * 1024 * 1024,
});
if (values.redis) io.adapter(await openRedis(...positionals));

io.on("connection", (socket) => {
  socket.on("subscribe", async (tag, answer) => {
    await socket.join(tag);
    answer();
  });
  socket.on("publish", (tag, payload, answer) => {
    io.to(tag).emit("message", payload);
    answer?.();
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listens on 127.0.0.1:${server.address().port}`));

async function openRedis(program, folder) {
  const port = await sparePort();
  const settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder];
  const redis = spawn(program, ["--port", String(port), ...settings], { stdio: "ignore" });
  redis.once("exit", () => process.exit(1));
  // Also where an error ends this process: what it started would go on.
  process.once("exit", () => redis.kill());
  process.once("SIGTERM", () => {
    redis.removeAllListeners("exit");
    redis.once("exit", () => process.exit(0));
    redis.kill();
  });
  // A turn with many subscribers takes longer than the 5 s that a command may wait by default, and the adapter does not
  // catch what is rejected then: the process would end.
  const publisher = createClient({ socket: { host: "127.0.0.1", port }, commandOptions: { timeout: 0 } });
  const subscriber = publisher.duplicate();
  // It takes a moment until Redis listens; until then the clients try again and complain.
  for (const client of [publisher, subscriber]) client.on("error", (error) => console.error(String(error)));
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return createAdapter(publisher, subscriber);
}

async function sparePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}
