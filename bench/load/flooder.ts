/** A process that sends messages as fast as its server takes them: `flooder.ts <url> <token> <tag>`. Ends when it is killed. */
import { encode } from "@msgpack/msgpack";
import { op } from "./protocols/tagcast-state.ts";

const frameBytes = 64;
/** As much as waits to be sent; more would only take memory. */
const waitingMax = 256 * 1024;
const retryMs = 2;

const [url = "", token = "", tag = ""] = process.argv.slice(2);
const frame = encode([op.publish, 0, tag, new Uint8Array(frameBytes)]);
const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
socket.onopen = () => {
  process.send?.("floods");
  send();
};
socket.onclose = ({ code }) => {
  throw new Error(`The flooder was disconnected: ${code}`);
};

function send(): void {
  while (socket.bufferedAmount < waitingMax) socket.send(frame);
  setTimeout(send, retryMs);
}
