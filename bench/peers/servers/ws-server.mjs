/**
 * `ws` on Node: a set of sockets per tag, one send per subscriber. Its clients say the same as those of the control (see
 * load/protocols/control.ts). `node ws-server.mjs [--compression]`; its first line says where it listens.
 */
import { WebSocketServer } from "ws";

const subscribe = 1;
const publishAndAnswer = 3;
const subscribed = Buffer.of(subscribe);
const published = Buffer.of(publishAndAnswer);
const compress = process.argv.includes("--compression");
const options = { binary: true, compress };

/** @type {Map<string, Set<import("ws").WebSocket>>} */
const subscribers = new Map();

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  // Each connection would have a window of its own otherwise.
  perMessageDeflate: compress && { serverNoContextTakeover: true, clientNoContextTakeover: true },
  maxPayload: 16 * 1024 * 1024,
});

server.on("connection", (socket) => {
  /** @type {string[]} */
  const tags = [];
  socket.on("message", (/** @type {Buffer} */ message) => {
    const op = message[0];
    if (op === subscribe) {
      const tag = message.toString("latin1", 1);
      const group = subscribers.get(tag);
      if (group === undefined) subscribers.set(tag, new Set([socket]));
      else group.add(socket);
      tags.push(tag);
      socket.send(subscribed);
      return;
    }
    const payloadAt = 2 + message[1];
    const group = subscribers.get(message.toString("latin1", 2, payloadAt));
    if (group !== undefined) {
      const payload = message.subarray(payloadAt);
      for (const subscriber of group) subscriber.send(payload, options);
    }
    if (op === publishAndAnswer) socket.send(published);
  });
  socket.on("close", () => {
    for (const tag of tags) {
      const group = subscribers.get(tag);
      group?.delete(socket);
      if (group?.size === 0) subscribers.delete(tag);
    }
  });
  // What goes wrong ends the connection: the bench sees that there.
  socket.on("error", () => {});
});
server.on("listening", () => console.log(`listens on 127.0.0.1:${server.address().port}`));
