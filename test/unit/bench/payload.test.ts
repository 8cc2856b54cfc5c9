/** The stamp in each payload of the bench. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  createPayload,
  payloadBytesMin,
  readMicros,
  readRun,
  readSequence,
  readStream,
  runsMax,
  sequenceMax,
  stampPayload,
  streamsMax,
} from "../../../bench/load/payload.ts";

test("a payload says when and in which run, stream and place it was published, wherever it stands", () => {
  const stamps = fc.record({
    micros: fc.double({ min: 0, max: 2 ** 40 - 1, noNaN: true }),
    run: fc.nat({ max: runsMax - 1 }),
    stream: fc.nat({ max: streamsMax - 1 }),
    sequence: fc.nat({ max: sequenceMax }),
    bytes: fc.integer({ min: payloadBytesMin, max: 200 }),
    before: fc.nat({ max: 20 }),
  });
  fc.assert(
    fc.property(stamps, ({ micros, run, stream, sequence, bytes, before }) => {
      const payload = createPayload(bytes);
      stampPayload(payload, micros, run, stream, sequence);
      const within = Buffer.concat([Buffer.alloc(before), payload]);
      expect(readMicros(within, before)).toBe(Math.trunc(micros));
      expect(readRun(within, before)).toBe(run);
      expect(readStream(within, before)).toBe(stream);
      expect(readSequence(within, before)).toBe(sequence);
      // Stands in a JSON text and in a line as it is.
      expect(JSON.stringify(payload.toString("latin1"))).toBe(`"${payload.toString("latin1")}"`);
      expect(payload).toHaveLength(bytes);
    }),
  );
});

test("times go on from zero where their 40 bits end", () => {
  const payload = createPayload(payloadBytesMin);
  stampPayload(payload, 3 * 2 ** 40 + 7, 0, 0, 1);
  expect(readMicros(payload, 0)).toBe(7);
});

test("a payload without room for its stamp is refused", () => {
  expect(() => createPayload(payloadBytesMin - 1)).toThrow("at least 19 bytes");
});
