/** Frames of one client that came while it is not read from: what the runtime had read by then still arrives. */
export class HeldFrames {
  /** Bytes of text are counted by its length. */
  bytes = 0;
  #frames: (Uint8Array | string)[] = [];

  /** Keeps one more, unless there are more than `maxBytes`: what comes deflated may be a thousand times what was read. */
  take(frame: Uint8Array | string, maxBytes = Infinity): boolean {
    if (this.bytes > maxBytes) return false;
    this.push(frame);
    return true;
  }

  push(frame: Uint8Array | string): void {
    this.#frames.push(frame);
    this.bytes += frame.length;
  }

  shift(): Uint8Array | string | undefined {
    const frame = this.#frames.shift();
    if (frame !== undefined) this.bytes -= frame.length;
    return frame;
  }

  /** All of `others` come behind what is here. */
  append(others: HeldFrames): void {
    for (const frame of others.#frames) this.push(frame);
  }
}
