/** docs/protocol.md against the code: the bytes of its exchange, the ops and the limits that it names. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { gatheredFrameMax, op, subprotocols, wireLimits } from "../../../src/wire/messages.ts";
import { bytes, hexOf, jsonReader, msgpackReader, readAll, writeBoth } from "../wire/support.ts";

const text = await Bun.file(join(import.meta.dir, "../../../docs/protocol.md")).text();

interface Step {
  readonly fromClient: boolean;
  readonly json: string;
  readonly hex: string;
}

/** The messages of the worked exchange: a line with an arrow and JSON, then lines with bytes. */
function steps(): Step[] {
  const blocks = [...text.matchAll(/```exchange\n(.*?)```/gs)].map(([, block]) => block as string);
  const found = blocks.flatMap((block) => [...block.matchAll(/^([→←]) (.*)\n((?: {2}[0-9a-f ]+\n)+)/gm)]);
  return found.map(([, arrow, json, hex]) => ({
    fromClient: arrow === "→",
    json: json as string,
    hex: (hex as string).replaceAll(/\s/g, ""),
  }));
}

test("the worked exchange is what the readers read and the writers write", () => {
  const exchange = steps();
  expect(exchange.length).toBeGreaterThan(10);
  for (const { fromClient, json, hex } of exchange) {
    if (fromClient) {
      const outcomes = readAll(msgpackReader(), bytes(hex));
      expect(outcomes).toHaveLength(1);
      expect(outcomes[0]).toHaveProperty("message");
      expect(readAll(jsonReader(), json)).toEqual(outcomes);
    } else {
      const written = writeBoth(JSON.parse(json) as unknown[]);
      expect(hexOf(written.msgpack)).toBe(hex);
      expect(written.json).toBe(json);
    }
  }
});

test("the exchange shows connect, subscribe, publish, delivery and recovery", () => {
  const ops = steps().map(({ json }) => (JSON.parse(json) as unknown[])[0]);
  for (const number of [op.connect, op.subscribe, op.publish, op.ok, op.message, op.disconnect])
    expect(ops).toContain(number);
  expect(steps().some(({ json }) => json.includes('"since"'))).toBe(true);
  expect(steps().some(({ json }) => json.includes('"recovered":true'))).toBe(true);
});

test("every op has a heading, and both subprotocols are named", () => {
  const headings = [...text.matchAll(/^### Op (\d+): /gm)].map(([, number]) => Number(number));
  expect(headings).toEqual(Object.values(op));
  for (const name of Object.values(subprotocols)) expect(text).toContain(`\`${name}\``);
});

test("the limits are those of the code", () => {
  const number = (value: number): string => value.toLocaleString("en-US");
  for (const row of [
    `| options | ${number(wireLimits.optionsBytesMax)} bytes as MessagePack, in op 1 ${number(wireLimits.tokenBytesMax)} more |`,
    `| nesting of options | ${wireLimits.optionsDepthMax} levels`,
    `| token | ${number(wireLimits.tokenBytesMax)} bytes |`,
    `| client name | 1–${wireLimits.clientBytesMax} bytes |`,
    `| \`id\` | 1–${wireLimits.idBytesMax} bytes |`,
    `| tags of one publish | ${wireLimits.tagsPerPublishMax} |`,
    `| entries of \`since\` | ${wireLimits.sincePerPatternMax} |`,
    `| \`info\` | ${wireLimits.presenceInfoBytesMax} bytes as MessagePack |`,
    `| \`limit\` of op 5 | ${number(wireLimits.historyLimitMax)};`,
  ]) {
    expect(text).toContain(row);
  }
  expect(text).toContain(`frames of at most ${number(gatheredFrameMax)} bytes`);
});

test("every link within the document has its heading", () => {
  const anchors = new Set(
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      (heading as string)
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} -]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
  const links = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor as string);
  expect(links.length).toBeGreaterThan(16);
  for (const link of links) expect([...anchors]).toContain(link);
});
