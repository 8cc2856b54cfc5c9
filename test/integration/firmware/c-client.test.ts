/** examples/firmware/c against the vectors, against noise, and against a server that says what a test tells it to. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { within } from "../../harness/deadline.ts";
import { clientFolder, compile, LineProgram, sanitizerOptions, testFolder } from "../../harness/firmware.ts";
import { scratchDirectory } from "../../harness/server.ts";
import { jsonForm, type Tagged } from "../../harness/tagged.ts";
import { loadVectors, type Vector } from "../../vectors/load.ts";
import { expectedEvent } from "./expected.ts";
import { followsTheRules } from "./rules.ts";

const scratch = scratchDirectory();
const binary = (name: string) => join(scratch.path, name);
const source = (name: string) => join(testFolder, `${name}.c`);
const compilingMs = 90_000;

beforeAll(async () => {
  const client = ["tagcast", "posix"].map((name) => join(clientFolder, `${name}.c`));
  await Promise.all([
    compile({ sources: [source("vectors")], out: binary("vectors") }),
    compile({ sources: [source("fuzz")], out: binary("fuzz") }),
    compile({ sources: [source("probe"), ...client], out: binary("probe") }),
  ]);
}, compilingMs);
afterAll(() => scratch[Symbol.dispose]());

/** What a program prints, a line for each of its input. */
async function lines(name: string, args: readonly string[], input: readonly string[]): Promise<string[]> {
  await using program = Bun.spawn([binary(name), ...args], {
    stdin: Buffer.from(`${input.join("\n")}\n`),
    stdout: "pipe",
    stderr: "pipe",
    env: sanitizerOptions,
  });
  const ended = Promise.all([program.exited, program.stdout.text(), program.stderr.text()]);
  const [status, text, errors] = await within(ended, `the end of ${name}`, 60_000);
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${errors}`);
  return text.split("\n").slice(0, -1);
}

describe("the vectors", () => {
  interface Value {
    readonly value: Tagged;
    readonly back: string;
  }

  const values = async (vectors: readonly Vector[]) =>
    (
      await lines(
        "vectors",
        [],
        vectors.map(({ msgpack }) => `value ${msgpack.toString("hex")}`),
      )
    ).map((line) => JSON.parse(line) as Value);

  test.each(["client", "server", "codes", "payloads", "alternatives"] as const)("of %s are read", async (file) => {
    // What no decoder accepts stands there as its bytes: the next test has it.
    const vectors = (await loadVectors(file)).filter(({ json }) => !json.includes('"$raw"'));
    const plain = file !== "payloads" && file !== "alternatives";
    const read = await values(vectors);
    expect(read).toHaveLength(vectors.length);
    for (const [i, { name, json }] of vectors.entries()) {
      expect({ name, value: jsonForm(read[i]?.value ?? null, plain) }).toEqual({
        name,
        value: JSON.parse(json) as unknown,
      });
    }
  });

  test.each(["client", "server", "codes", "payloads"] as const)("of %s are written in the same bytes", async (file) => {
    const vectors = await loadVectors(file);
    const read = await values(vectors);
    for (const [i, { name, msgpack }] of vectors.entries())
      expect({ name, back: read[i]?.back }).toEqual({ name, back: msgpack.toString("hex") });
  });

  test.each(["server", "codes", "payloads", "alternatives"] as const)(
    "of %s come to the application, however their bytes are divided",
    async (file) => {
      const vectors = (await loadVectors(file)).flatMap(({ name, value, msgpack }) => {
        const found = expectedEvent(value);
        return found === null ? [] : [{ name, msgpack, ...found }];
      });
      expect(vectors.length).toBeGreaterThan(20);
      const input = vectors.map(({ pattern, msgpack }) => `message ${pattern} ${msgpack.toString("hex")}`);
      const events = await lines("vectors", [], input);
      for (const [i, { name, event }] of vectors.entries())
        expect({ name, event: JSON.parse(events[i] ?? "null") as unknown }).toEqual({
          name,
          event: expect.objectContaining(event) as unknown,
        });
    },
  );

  test("a payload comes as its bytes", async () => {
    const vectors = await loadVectors("payloads");
    // [18, "t", nil, payload]
    const head = "9412a174c0";
    const input = vectors.map(({ msgpack }) => `message t ${msgpack.toString("hex")}`);
    const events = await lines("vectors", [], input);
    for (const [i, { name, msgpack }] of vectors.entries()) {
      const { payload } = JSON.parse(events[i] ?? "{}") as { payload?: string };
      expect({ name, bytes: `${head}${payload}` }).toEqual({ name, bytes: msgpack.toString("hex") });
    }
  });

  test("the answer to a key is that of RFC 6455", async () => {
    expect(await lines("vectors", [], ["accept dGhlIHNhbXBsZSBub25jZQ=="])).toEqual(['"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="']);
  });

  test("what is no message ends the connection, which is made again", async () => {
    const frames = ["c1", "05", "90", "9412a1742a", "9412a1742adc", "9412a17405dfffffffff", "dd00000003"];
    const events = await lines(
      "vectors",
      [],
      frames.map((frame) => `message t ${frame}`),
    );
    for (const [i, frame] of frames.entries()) {
      const event = JSON.parse(events[i] ?? "null") as unknown;
      expect({ frame, event }).toEqual({
        frame,
        event: expect.objectContaining({ event: "disconnected", code: 1006 }),
      });
    }
  });
});

test.each([1, 2, 3])(
  "servers that answer at random do no harm (seed %i)",
  async (seed) => {
    const files = await Promise.all((["server", "codes", "payloads"] as const).map(loadVectors));
    const corpus = files.flat().flatMap(({ msgpack }) => (msgpack.length < 7000 ? [msgpack.toString("hex")] : []));
    const [counts = ""] = await lines("fuzz", [String(seed), "4000"], corpus);
    // Each kind of event came up, or the noise was of no use.
    expect(
      counts
        .split(" ")
        .slice(1, 13)
        .map(Number)
        .filter((count) => count < 100),
    ).toEqual([]);
  },
  compilingMs,
);

followsTheRules((args) => new LineProgram([binary("probe"), ...args]));

test("what has no room is said at once", async () => {
  const probe = new LineProgram([binary("probe"), "ws://127.0.0.1:1/ws", "t", "send=160", "outbox=80"]);
  await using _ = probe;
  expect(await probe.answer()).toBe(0);
  expect(await probe.command("send t 07")).toBe(-3);
  expect(await probe.command(`publish t c4ff${"00".repeat(255)}`)).toBe(-2);
  expect(await probe.command(`subscribe ${"a".repeat(150)}`)).toBe(-2);
  expect(await probe.command("publish t 07")).toBe(1);
  expect(await probe.command(`publish t c420${"00".repeat(32)}`)).toBe(-1);
});
