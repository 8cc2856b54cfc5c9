/** Lines of a byte stream, read no faster than they are taken. */

const newline = 10;

/** A line longer than its bound: what follows cannot be told apart from it. */
export class LineTooLongError extends Error {
  constructor(maxBytes: number) {
    super(`A line is longer than ${maxBytes} bytes`);
    this.name = "LineTooLongError";
  }
}

/** The bytes of each line without its line end (LF or CR LF); the last one may lack it. Ends early when `signal` aborts. */
export async function* readLines(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let rest: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readChunks(stream, signal)) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      yield trimmed(Buffer.concat([...rest, chunk.subarray(start, end)]));
      rest = [];
      length = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    rest.push(chunk.slice(start));
    length += chunk.length - start;
    if (length > maxBytes) throw new LineTooLongError(maxBytes);
  }
  if (length > 0 && !signal.aborted) yield trimmed(Buffer.concat(rest));
}

/** The chunks of a stream until it ends or `signal` aborts. */
export async function* readChunks(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (signal.aborted) return;
  const reader = stream.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

function trimmed(line: Uint8Array): Uint8Array {
  return line.at(-1) === 13 ? line.subarray(0, -1) : line;
}
