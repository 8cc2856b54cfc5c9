/** The meta map of a message: what travels beside the payload (fifth element of op 18). */
import { ByteWriter } from "../lib/byte-writer.ts";
import { writeMapHeader, writeString } from "./encode.ts";

export interface Meta {
  /** The tag that an answer is to be published to. */
  readonly reply?: string | null;
  /** Shared by the copies of a publish to several tags. */
  readonly id?: string | null;
}

/** MessagePack bytes of the map; fields that are null are left out. No bytes at all where nothing is left. */
export function encodeMeta(meta: Meta): Uint8Array {
  const reply = meta.reply ?? null;
  const id = meta.id ?? null;
  if (reply === null && id === null) return none;
  const w = new ByteWriter(64);
  writeMapHeader(w, (reply === null ? 0 : 1) + (id === null ? 0 : 1));
  if (reply !== null) {
    writeString(w, "reply");
    writeString(w, reply);
  }
  if (id !== null) {
    writeString(w, "id");
    writeString(w, id);
  }
  return w.copy();
}

const none = new Uint8Array(0);
