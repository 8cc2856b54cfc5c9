/**
 * examples/firmware/micropython: its wire part inside MicroPython itself, compiled to WebAssembly, and all of it under
 * CPython against a server that says what a test tells it to.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadMicroPython, type MicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";
import { LineProgram } from "../../harness/firmware.ts";
import { read, root } from "../../harness/source-tree.ts";
import { jsonForm, type Tagged } from "../../harness/tagged.ts";
import { loadVectors } from "../../vectors/load.ts";
import { expectedEvent } from "./expected.ts";
import { followsTheRules } from "./rules.ts";

const moduleFolder = join(root, "examples/firmware/micropython");

interface Checks {
  value(hex: string): string;
  message(pattern: string, hex: string, step: number, part: number): string;
  noise(seed: number, rounds: number, corpus: string): string;
}

let inside: MicroPython;
let checks: Checks;
let accept: (key: string) => string;
let python: (source: string) => unknown;

beforeAll(async () => {
  inside = await loadMicroPython({ heapsize: 32 * 1024 * 1024 });
  inside.FS.writeFile("/tagcast.py", await read("examples/firmware/micropython/tagcast.py"));
  inside.FS.writeFile("/checks.py", await read("test/integration/firmware/micropython/checks.py"));
  python = (source) => inside.runPython(source);
  python('import sys\nsys.path.append("/")\nimport checks, tagcast');
  checks = inside.globals.get("checks") as Checks;
  accept = (inside.globals.get("tagcast") as { accept_of: typeof accept }).accept_of;
});

describe("inside MicroPython the vectors", () => {
  interface Value {
    readonly value: Tagged;
    readonly back: string;
  }

  const valueOf = (bytes: Buffer) => JSON.parse(checks.value(bytes.toString("hex"))) as Value;

  /** The keys of a map come in any order there. */
  const sorted = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value), (key, part: unknown) =>
      key === "$map" && Array.isArray(part) ? part.map((pair) => JSON.stringify(pair)).toSorted() : part,
    );

  const valueBytes = (bytes: Buffer) => bytes.toSorted();

  /** Without the longest maps: MicroPython takes its time for each of their values. */
  const vectors = async (file: Parameters<typeof loadVectors>[0]) =>
    (await loadVectors(file)).filter(({ name }) => !/^(map of 6553|array of 65535)/.test(name));

  test.each(["client", "server", "codes", "payloads", "alternatives"] as const)("of %s are read", async (file) => {
    const plain = file !== "payloads" && file !== "alternatives";
    let asBytes = 0;
    for (const { name, json, msgpack } of await vectors(file)) {
      const { value } = valueOf(msgpack);
      // Ill-formed text is a text there, and may be none elsewhere.
      if ((Array.isArray(value) && value[0] === "r") || json.includes('"$raw"')) asBytes++;
      else expect({ name, value: sorted(jsonForm(value, plain)) }).toEqual({ name, value: sorted(JSON.parse(json)) });
    }
    // Ill-formed text, keys that Python cannot hold or takes for the same.
    expect(asBytes).toBeLessThan(plain ? 1 : 12);
  });

  test.each(["client", "server", "codes", "payloads"] as const)("of %s are written in the same bytes", async (file) => {
    for (const { name, msgpack, json } of await vectors(file)) {
      const back = Buffer.from(valueOf(msgpack).back, "hex");
      expect({ name, bytes: back.length }).toEqual({ name, bytes: msgpack.length });
      // Keys in another order are the same bytes in another order.
      if (/\{.*,/.test(json)) expect(valueBytes(back)).toEqual(valueBytes(msgpack));
      else expect({ name, back: back.toString("hex") }).toEqual({ name, back: msgpack.toString("hex") });
    }
  });

  const ways = [
    [100_000, 1_000_000],
    [1, 7],
    [13, 50],
  ] as const;

  test.each(["server", "codes", "payloads", "alternatives"] as const)(
    "of %s come to the application, however their bytes are divided",
    async (file) => {
      for (const { name, value, msgpack } of await loadVectors(file)) {
        const found = expectedEvent(value);
        // Those of many bytes would be the same again, and take their time.
        if (found === null || msgpack.length > 1000) continue;
        for (const [step, part] of ways) {
          const [event] = JSON.parse(checks.message(found.pattern, msgpack.toString("hex"), step, part)) as Seen[];
          expect({ name, event: inFieldsOfC(event) }).toEqual({
            name,
            event: expect.objectContaining(found.event) as object,
          });
        }
      }
    },
  );

  interface Seen {
    readonly kind: string;
    readonly tag?: string;
    readonly text?: string;
    readonly first?: number | null;
    readonly last?: number | null;
    readonly offset?: number | null;
    readonly epoch?: number | null;
    readonly wait_ms?: number;
  }

  const hexOf = (text?: string) => (text === undefined ? undefined : Buffer.from(text, "utf8").toString("hex"));

  function inFieldsOfC(seen: Seen | undefined): object {
    const { kind, tag, text, first, last, offset, epoch, wait_ms: wait, ...rest } = seen ?? { kind: "none" };
    const told = {
      tag: hexOf(tag),
      text: hexOf(text),
      from: first ?? 0,
      offset: offset ?? last ?? 0,
      epoch: epoch ?? 0,
    };
    return { ...rest, event: kind, wait, ...told };
  }
});

describe("inside MicroPython", () => {
  test("the answer to a key is that of RFC 6455", () => {
    expect(accept("dGhlIHNhbXBsZSBub25jZQ==")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  });

  test.each([1, 2, 3])("servers that send what is broken do no harm (seed %i)", async (seed) => {
    const files = await Promise.all((["server", "codes", "payloads"] as const).map(loadVectors));
    const corpus = files.flat().flatMap(({ msgpack }) => (msgpack.length < 500 ? [msgpack.toString("hex")] : []));
    const counts = JSON.parse(checks.noise(seed, 150, corpus.join(" "))) as Record<string, number>;
    for (const kind of ["message", "skipped", "disconnected"]) expect(counts[kind] ?? 0).toBeGreaterThan(10);
  });

  test("every module that it imports is one of MicroPython", async () => {
    const source = await read("examples/firmware/micropython/tagcast.py");
    const names = new Set([...source.matchAll(/^\s*(?:import|from) (\w+)/gm)].map(([, name]) => name as string));
    expect([...names].sort()).toEqual(["os", "random", "socket", "ssl", "struct", "time"]);
  });

  test("the sensor is a program there, too", async () => {
    inside.FS.writeFile("/sensor.py", await read("examples/firmware/micropython/sensor.py"));
    python('compile(open("/sensor.py").read(), "sensor.py", "exec")');
    expect(() => python('compile("match x:", "none.py", "exec")')).toThrow("SyntaxError");
  });

  test("it takes the interface that sockets have there: reads that answer None, writes of a part", () => {
    python(`
class Stream:
    """As MicroPython's TLS streams: read and write, no recv and send."""
    def __init__(self):
        self.written, self.turn = b"", 0
    def write(self, data):
        self.turn += 1
        part = bytes(data[:50]) if self.turn % 2 else b""
        self.written += part
        return len(part) or None
    def read(self, size):
        return None
    def close(self):
        pass
stream = Stream()
client = tagcast.Client("wss://h/ws", "t", connect=lambda *_: stream)
for _ in range(20):
    assert client.poll() == []
text = stream.written.decode()
assert text.startswith("GET /ws HTTP/1.1\\r\\nHost: h\\r\\n") and text.endswith("\\r\\nAuthorization: Bearer t\\r\\n\\r\\n"), text
`);
  });
});

followsTheRules(
  (args) =>
    new LineProgram(["/usr/bin/python3", "-B", join(import.meta.dir, "micropython/probe.py"), ...args], {
      TAGCAST_MODULE: moduleFolder,
    }),
);
