/** The event that a client for microcontrollers makes of a message of the server, in the fields of c/event.h. */
import { op } from "../../../src/wire/messages.ts";

const hexOf = (text: string) => Buffer.from(text, "utf8").toString("hex");

/** The subscription that a message is for, and the event that is to come of it. */
export function expectedEvent([code, ...rest]: readonly unknown[]): {
  readonly pattern: string;
  readonly event: object;
} | null {
  switch (code) {
    case op.message: {
      const [tag, offset, , , pattern, epoch] = rest as [string, number | null, unknown, unknown, string?, number?];
      // An alias, which this client does not ask for.
      if (typeof tag !== "string") return null;
      const known = pattern === undefined ? (offset === null ? 0 : 7) : (epoch ?? 0);
      return {
        pattern: pattern ?? tag,
        event: { event: "message", tag: hexOf(tag), offset: offset ?? 0, epoch: known },
      };
    }
    case op.error:
      return { pattern: "t", event: { event: "error", ref: rest[0], code: rest[1], text: hexOf(String(rest[2])) } };
    case op.gap: {
      const [name, from, to, { code, pattern }] = rest as [
        string,
        number | null,
        number | null,
        { code: number; pattern?: string },
      ];
      const event = { event: "gap", tag: hexOf(name), from: from ?? 0, offset: to ?? 0, code };
      return { pattern: pattern ?? name, event };
    }
    case op.unsubscribed: {
      const [pattern, code] = rest as [string, number];
      return code < 2500 ? { pattern, event: { event: "unsubscribed", code } } : null;
    }
    case op.disconnect: {
      const [code, , wait] = rest as [number, string, number];
      if (code >= 3500 || code === 3003) return { pattern: "t", event: { event: "stopped", code } };
      return { pattern: "t", event: { event: "disconnected", code, ...(wait > 0 && { wait }) } };
    }
    default:
      return null;
  }
}
