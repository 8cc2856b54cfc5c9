/** Both forms of the wire as a client reads and writes them, without the server's own readers. */
import { decodeMulti, encode } from "@msgpack/msgpack";
import type { Lane } from "../../../src/wire/messages.ts";

export type WireMessage = readonly unknown[];

/** One frame of several messages. */
export function writeFrame(lane: Lane, messages: readonly WireMessage[]): Uint8Array | string {
  if (lane === "json") return messages.map((message) => JSON.stringify(message)).join("\n");
  return messages.length === 1
    ? encode(messages[0]).slice()
    : Buffer.concat(messages.map((message) => encode(message)));
}

export function readFrame(frame: Uint8Array | string): WireMessage[] {
  if (typeof frame !== "string") return [...decodeMulti(frame)] as WireMessage[];
  return frame.split("\n").map((line) => JSON.parse(line) as WireMessage);
}
