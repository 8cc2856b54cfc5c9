/**
 * Counts what one small reading takes on the wire, and writes the table of docs/protocol.md: `bun test/docs/wire-budget.ts`.
 * Bytes come from encoders that are not ours: @msgpack/msgpack, mqtt-packet, JSON.stringify.
 */
import { join } from "node:path";
import { Encoder } from "@msgpack/msgpack";
import { generate, type Packet } from "mqtt-packet";

export const protocolPath = join(import.meta.dir, "../../docs/protocol.md");
const [begin, end] = ["<!-- wire budget: bun test/docs/wire-budget.ts -->", "<!-- end of the wire budget -->"];

const tag = "site/7/pump/3/temp";
const reading = Uint8Array.from({ length: 12 }, (_, i) => i * 20);
/** As most are: an instance has given fewer than 65,536. */
const alias = 300;
/** A log's epoch, and an offset of a log that is some hours old. */
const position = [0xdead_beef, 40_000] as const;
const ref = 7;
const encoder = new Encoder();

interface Row {
  readonly name: string;
  /** Bytes from the device: the publish. From the server: its answer, or null; and the message at a subscriber. */
  readonly published: number;
  readonly answered: number | null;
  readonly delivered: number;
}

/** RFC 6455, section 5.2: header, length, and from the client a mask. */
function framed(payloadBytes: number, from: "client" | "server"): number {
  const lengthBytes = payloadBytes < 126 ? 0 : payloadBytes < 65_536 ? 2 : 8;
  return 2 + lengthBytes + (from === "client" ? 4 : 0) + payloadBytes;
}

function wire(
  name: string,
  of: (value: unknown) => number,
  [target, payload, acknowledged]: [unknown, unknown, boolean],
): Row {
  const result = { position };
  const offset = acknowledged ? position[1] : null;
  return {
    name,
    published: framed(of([4, acknowledged ? ref : 0, target, payload]), "client"),
    answered: acknowledged ? framed(of([16, ref, result]), "server") : null,
    delivered: framed(of([18, target, offset, payload]), "server"),
  };
}

function mqtt(
  name: string,
  protocolVersion: 4 | 5,
  options: { readonly qos: 0 | 1; readonly topicAlias?: number },
): Row {
  const { qos, topicAlias } = options;
  const publish: Packet = {
    cmd: "publish",
    topic: topicAlias === undefined ? tag : "",
    payload: Buffer.from(reading),
    qos,
    dup: false,
    retain: false,
    ...(qos === 1 && { messageId: ref }),
    ...(topicAlias !== undefined && { properties: { topicAlias } }),
  };
  const bytes = (packet: Packet) => generate(packet, { protocolVersion }).length;
  const answered = qos === 0 ? null : bytes({ cmd: "puback", messageId: ref });
  return { name, published: bytes(publish), answered, delivered: bytes(publish) };
}

const msgpack = (value: unknown) => encoder.encode(value).length;
const json = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
const text = { $bin: Buffer.from(reading).toString("base64") };

const rows: readonly Row[] = [
  wire("tagcast, alias", msgpack, [alias, reading, false]),
  wire("tagcast, tag by name", msgpack, [tag, reading, false]),
  wire("tagcast, JSON form", json, [tag, text, false]),
  wire("tagcast, alias, log and answer", msgpack, [alias, reading, true]),
  wire("tagcast, tag by name, log and answer", msgpack, [tag, reading, true]),
  wire("tagcast, JSON form, log and answer", json, [tag, text, true]),
  mqtt("MQTT 5, topic alias, QoS 0", 5, { qos: 0, topicAlias: alias }),
  mqtt("MQTT 3.1.1, QoS 0", 4, { qos: 0 }),
  mqtt("MQTT 5, topic alias, QoS 1", 5, { qos: 1, topicAlias: alias }),
  mqtt("MQTT 3.1.1, QoS 1", 4, { qos: 1 }),
  {
    name: 'JSON objects over WebSocket, `{"topic":…,"data":…}`',
    published: framed(json({ topic: tag, data: text.$bin }), "client"),
    answered: null,
    delivered: framed(json({ topic: tag, data: text.$bin }), "server"),
  },
];

/** The text of the document with the table as it is to be. @throws where the marks are missing */
export function withBudget(document: string): string {
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error("docs/protocol.md has no place for the wire budget");
  return `${document.slice(0, from)}${begin}\n${table()}\n${document.slice(to)}`;
}

function table(): string {
  const lines = rows.map(({ name, published, answered, delivered }) => {
    const all = published + (answered ?? 0) + delivered;
    return `| ${name} | ${published} | ${answered ?? "–"} | ${delivered} | ${all} |`;
  });
  return ["| | publish | answer | delivery | all |", "|---|---|---|---|---|", ...lines].join("\n");
}

if (import.meta.main) await Bun.write(protocolPath, withBudget(await Bun.file(protocolPath).text()));
