/** aedes over WebSocket, as its documentation sets it up. `node aedes-server.mjs`; its first line says where it listens. */
import { createServer } from "node:http";
import { Aedes } from "aedes";
import { createWebSocketStream, WebSocketServer } from "ws";

const aedes = await Aedes.createBroker();
const server = createServer();
new WebSocketServer({ server }).on("connection", (socket, request) => {
  aedes.handle(createWebSocketStream(socket), request);
});
server.listen(0, "127.0.0.1", () => console.log(`listens on 127.0.0.1:${server.address().port}`));
