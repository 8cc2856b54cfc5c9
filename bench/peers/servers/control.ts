/**
 * The control: a bare `Bun.serve` with native topics and none of the code of tagcast. Each publish is one native publish.
 * What its clients say is drawn in load/protocols/control.ts. `bun control.ts [--compression]`; its first line says where it listens.
 */

/** Cheaper than `toString("latin1", …)`; every Buffer has it, the types do not say so. */
type Latin1Buffer = Buffer & { latin1Slice(start: number, end?: number): string };

const subscribe = 1;
const publishAndAnswer = 3;
const subscribed = new Uint8Array([subscribe]);
const published = new Uint8Array([publishAndAnswer]);
const compression = process.argv.includes("--compression");

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  fetch(request, own) {
    if (own.upgrade(request)) return undefined;
    return new Response("A WebSocket is expected", { status: 426 });
  },
  websocket: {
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: compression,
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    message(socket, message) {
      if (typeof message === "string") return;
      const op = message[0];
      if (op === subscribe) {
        socket.subscribe((message as Latin1Buffer).latin1Slice(1));
        socket.sendBinary(subscribed);
        return;
      }
      const payloadAt = 2 + (message[1] ?? 0);
      server.publish((message as Latin1Buffer).latin1Slice(2, payloadAt), message.subarray(payloadAt), compression);
      if (op === publishAndAnswer) socket.sendBinary(published);
    },
  },
});
console.log(`listens on 127.0.0.1:${server.port}`);
