/** A protocol of the bench between an outlet and events that keep what they get, as text. */
import type { Protocol, ProtocolKind } from "../../../bench/load/protocol.ts";

export interface Recording {
  readonly protocol: Protocol;
  /** Messages written, byte by byte as characters; text messages begin with `text `. */
  readonly written: string[];
  readonly events: string[];
  /** Hands it bytes, cut after as many as each of `sizes` says, in turn; none: in one piece. */
  receive(bytes: string, sizes?: readonly number[]): void;
}

/** Opened, with nothing said yet. */
export function record(kind: ProtocolKind): Recording {
  const written: string[] = [];
  const events: string[] = [];
  const protocol = kind.create({
    ready: () => events.push("ready"),
    subscribed: () => events.push("subscribed"),
    acknowledged: (count) => events.push(`acknowledged ${count}`),
    message: (bytes, start, end) => events.push(`message ${latin1(bytes.subarray(start, end))}`),
    told: (count) => events.push(`told ${count}`),
    failed: (reason) => events.push(`failed: ${reason}`),
  });
  protocol.open({
    binary: (bytes, end = bytes.length) => written.push(latin1(bytes.subarray(0, end))),
    text: (text, end) => written.push(`text ${typeof text === "string" ? text : latin1(text.subarray(0, end))}`),
  });
  return {
    protocol,
    written,
    events,
    receive(text, sizes = [text.length]) {
      const bytes = Buffer.from(text, "latin1");
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const end = Math.min(bytes.length, at + (sizes[turn % sizes.length] ?? 1));
        // In the middle of a storage that is used again, as a link hands it on.
        const storage = Buffer.alloc(end - at + 8, 0x55);
        bytes.copy(storage, 3, at, end);
        protocol.receiveAt?.(storage, 3, 3 + end - at);
        storage.fill(0xaa);
        at = end;
      }
    },
  };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
