/** Where frames go: what takes them, and several of them at once. */

/** Where finished frames go. The bytes are valid only during the call. */
export interface FrameTarget {
  write(frame: Uint8Array | string): void;
  /** Sends what is written meanwhile in as few system calls as possible; absent where that makes no difference. */
  cork?(run: () => void): void;
}

/** Several frames, together; each whatever becomes of the others. @throws what the first that failed threw */
export function handAll<T>(target: FrameTarget, frames: readonly T[], hand: (frame: T) => void): void {
  const failures: unknown[] = [];
  const run = () => {
    for (const frame of frames) {
      try {
        hand(frame);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  if (target.cork === undefined) run();
  else target.cork(run);
  if (failures.length > 0) throw failures[0];
}
