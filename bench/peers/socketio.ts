/** Socket.IO on Node, alone and as it is run where there are several of it. */
import { launchOnNode, packageVersion } from "./node.ts";
import type { Peer } from "./peer.ts";
import { findProgram, makeFolder, programVersion, setupCommand } from "./processes.ts";

export const socketIo: Peer = {
  name: "socket.io",
  about: "Socket.IO on Node: a room per tag, WebSocket alone, binary payloads, bufferutil.",
  protocol: "socketio",
  abilities: ["acknowledgements", "compression"],
  install: setupCommand,
  version: () => packageVersion("socket.io"),
  async start({ compression = false }) {
    return await launchOnNode(await makeFolder(), "socketio-server.mjs", compression ? ["--compression"] : []);
  },
};

const redis = "redis-server";

export const socketIoRedis: Peer = {
  ...socketIo,
  name: "socket.io-redis",
  about: "The same with its Redis adapter and a Redis without persistence, which is counted too.",
  async version() {
    const [own, adapter] = await Promise.all([packageVersion("socket.io"), packageVersion("@socket.io/redis-adapter")]);
    const behind = programVersion(redis, "--version", /v=([\d.]+)/);
    return own === null || adapter === null || behind === null ? null : `${own}, adapter ${adapter}, Redis ${behind}`;
  },
  async start({ compression = false }) {
    const folder = await makeFolder();
    const args = ["--redis", findProgram(redis) ?? redis, folder, ...(compression ? ["--compression"] : [])];
    return await launchOnNode(folder, "socketio-server.mjs", args);
  },
};
