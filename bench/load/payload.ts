/**
 * What every message of the bench carries: when it was published, in which run, and its place in its stream. A stream
 * is what one publisher sends to one tag. All of it is printable ASCII without quotes and backslashes, so that it goes
 * through text protocols and JSON as it is.
 *
 *     | µs: 8 | run: 1 | stream: 4 | sequence: 6 | filler … |     characters of 5 bits each, the highest first
 */

export const payloadBytesMin = 19;
export const runsMax = 32;
export const streamsMax = 2 ** 20;
export const sequenceMax = 2 ** 30 - 1;

const runAt = 8;
const streamAt = 9;
const sequenceAt = 13;
/** Character of 0; 31 is "O". */
const zero = 0x30;
/** What `zero` leaves in the lower 5 bits, in two and in four characters. */
const offset2 = 0b10000_10000;
const offset4 = 0b10000_10000_10000_10000;
/** Compresses like readings do: the same words again and again, other digits. */
const filler = "|site=north;line=7;temp=21.43;hum=48.1;rpm=1480;volt=229.6;state=running;seq=";

/** `bytes` of filler with room for a stamp in front. The readings in it differ, always in the same way. */
export function createPayload(bytes: number): Buffer {
  if (bytes < payloadBytesMin) throw new Error(`A payload has at least ${payloadBytesMin} bytes`);
  let text = "";
  for (let i = 1; text.length < bytes; i++) text += `${filler}${(i * 48_271) % 65_537}`;
  return Buffer.from(text.slice(0, bytes), "latin1");
}

/** `micros`: time in microseconds; kept modulo 2^40. */
export function stampPayload(payload: Uint8Array, micros: number, run: number, stream: number, sequence: number): void {
  write(payload, 0, 4, Math.floor(micros / 2 ** 20));
  write(payload, 4, 4, micros);
  payload[runAt] = zero + (run & 31);
  write(payload, streamAt, 4, stream);
  write(payload, sequenceAt, 6, sequence);
}

export function readRun(bytes: Uint8Array, start: number): number {
  return (bytes[start + runAt] as number) - zero;
}

export function readStream(bytes: Uint8Array, start: number): number {
  return read4(bytes, start + streamAt);
}

export function readSequence(bytes: Uint8Array, start: number): number {
  const high = (((bytes[start + sequenceAt] as number) & 31) << 5) | ((bytes[start + sequenceAt + 1] as number) & 31);
  return ((high ^ offset2) << 20) | read4(bytes, start + sequenceAt + 2);
}

/** Modulo 2^40. */
export function readMicros(bytes: Uint8Array, start: number): number {
  return read4(bytes, start) * 2 ** 20 + read4(bytes, start + 4);
}

function write(bytes: Uint8Array, at: number, digits: number, value: number): void {
  for (let i = digits - 1; i >= 0; i--) {
    bytes[at + i] = zero + (value & 31);
    value >>>= 5;
  }
}

/** Of four characters. */
function read4(bytes: Uint8Array, at: number): number {
  const high = (((bytes[at] as number) & 31) << 15) | (((bytes[at + 1] as number) & 31) << 10);
  return (high | (((bytes[at + 2] as number) & 31) << 5) | ((bytes[at + 3] as number) & 31)) ^ offset4;
}
