/**
 * MQTT 3.1.1, over WebSocket or TCP: clean sessions without keep-alive. Deliveries are QoS 0; publishes that are to be
 * acknowledged are QoS 1.
 */
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { PacketSplitter } from "../packet-splitter.ts";
import type { PacketFormat } from "../packet-splitter.ts";
import type { Events, Outlet, Protocol, ProtocolKind } from "../protocol.ts";

export const mqttWebSocket: ProtocolKind = {
  name: "mqtt-websocket",
  transport: "websocket",
  subprotocol: "mqtt",
  path: "/mqtt",
  create: (events) => new MqttProtocol(events),
};

export const mqttTcp: ProtocolKind = {
  name: "mqtt-tcp",
  transport: "tcp",
  create: (events) => new MqttProtocol(events),
};

/** Every publish is retained: what MQTT has for a message that is to be kept. */
export const mqttTcpRetained: ProtocolKind = {
  ...mqttTcp,
  name: "mqtt-tcp-retained",
  create: (events) => new MqttProtocol(events, retain),
};

/** Types of packets, as they stand in the upper half of the first byte. */
const packet = {
  connect: 0x10,
  connack: 0x20,
  publish: 0x30,
  puback: 0x40,
  subscribe: 0x82,
  suback: 0x90,
  disconnect: 0xe0,
} as const;
const qos1 = 0x02;
const qosBits = 0x06;
const retain = 0x01;
/** A length takes four bytes at most. */
const lengthScaleMax = 128 ** 3;
const packetIdMax = 0xffff;
const subackRefused = 0x80;

/** Version 4 (3.1.1), clean session, keep-alive 0; the server makes up a client id. */
const connect = new Uint8Array([packet.connect, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0x02, 0, 0, 0, 0]);

const disconnect = new Uint8Array([packet.disconnect, 0]);

export class MqttProtocol implements Protocol, PacketFormat {
  readonly #events: Events;
  readonly #splitter = new PacketSplitter(this);
  #outlet: Outlet | null = null;
  #packetId = 0;
  /** The publish written last, head and all: the next one to the same tag changes its payload alone. */
  #template: Template | null = null;
  #templates: Map<string, Template> | null = null;

  /** Flags of every publish. */
  readonly #flags: number;

  constructor(events: Events, flags = 0) {
    this.#events = events;
    this.#flags = flags;
  }

  open(outlet: Outlet): void {
    this.#outlet = outlet;
    outlet.binary(connect);
  }

  subscribe(pattern: string): void {
    const message = new ByteWriter();
    const topic = Buffer.from(pattern);
    message.u8(packet.subscribe);
    writeLength(message, topic.length + 5);
    message.u16(this.#nextPacketId());
    message.u16(topic.length);
    message.append(topic);
    message.u8(0);
    this.#outlet?.binary(message.bytes, message.length);
  }

  publish(tag: string, payload: Uint8Array, acknowledge: boolean): void {
    let template = this.#template;
    if (template === null || template.tag !== tag) this.#template = template = this.#templateOf(tag);
    if (template.payloadBytes !== payload.length || template.acknowledge !== acknowledge) {
      template.shape(payload.length, acknowledge);
    }
    const { bytes, payloadAt } = template;
    bytes.set(payload, payloadAt);
    if (acknowledge) {
      const id = this.#nextPacketId();
      bytes[payloadAt - 2] = id >>> 8;
      bytes[payloadAt - 1] = id;
    }
    this.#outlet?.binary(bytes, bytes.length);
  }

  leave(): void {
    this.#outlet?.binary(disconnect);
  }

  receive(bytes: Uint8Array): void {
    this.#splitter.push(bytes, 0, bytes.length);
  }

  receiveAt(bytes: Uint8Array, start: number, end: number): void {
    this.#splitter.push(bytes, start, end);
  }

  measure(bytes: Uint8Array, start: number, end: number): number {
    let length = 0;
    let scale = 1;
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at] as number;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) return at + 1 - start + length;
      scale *= 128;
      if (scale > lengthScaleMax) {
        this.#events.failed("A length of more than four bytes");
        return 0;
      }
    }
    return -1;
  }

  packet(bytes: Uint8Array, start: number, end: number): void {
    const first = bytes[start] as number;
    switch (first & 0xf0) {
      case packet.publish:
        return this.#delivered(bytes, start, end);
      case packet.puback:
        return this.#events.acknowledged(1);
      case packet.suback:
        if (bytes[end - 1] === subackRefused) return this.#events.failed("A subscription was refused");
        return this.#events.subscribed();
      case packet.connack:
        if (bytes[end - 1] !== 0) return this.#events.failed(`The connection was refused with ${bytes[end - 1]}`);
        return this.#events.ready();
      default:
        return this.#events.failed(`A packet that no client expects: ${first}`);
    }
  }

  #delivered(bytes: Uint8Array, start: number, end: number): void {
    if (((bytes[start] as number) & qosBits) !== 0) return this.#events.failed("A delivery that is not QoS 0");
    let at = start + 1;
    while ((bytes[at] as number) >= 0x80) at++;
    const topicBytes = ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    const payloadAt = at + 3 + topicBytes;
    if (payloadAt > end) return this.#events.failed("A topic is longer than its packet");
    this.#events.message(bytes, payloadAt, end);
  }

  #templateOf(tag: string): Template {
    const templates = (this.#templates ??= new Map<string, Template>());
    let template = templates.get(tag);
    if (template === undefined) templates.set(tag, (template = new Template(tag, this.#flags)));
    return template;
  }

  #nextPacketId(): number {
    this.#packetId = this.#packetId === packetIdMax ? 1 : this.#packetId + 1;
    return this.#packetId;
  }
}

/** A publish to one tag: all but its payload, and its packet id where it has one. */
class Template {
  readonly tag: string;
  readonly #topic: Uint8Array;
  bytes = new Uint8Array();
  /** The packet id stands before it. */
  payloadAt = 0;
  payloadBytes = -1;
  acknowledge = false;

  readonly #flags: number;

  constructor(tag: string, flags: number) {
    this.tag = tag;
    this.#flags = flags;
    this.#topic = Buffer.from(tag);
  }

  shape(payloadBytes: number, acknowledge: boolean): void {
    const topic = this.#topic;
    const head = new ByteWriter(topic.length + 16);
    head.u8(packet.publish | this.#flags | (acknowledge ? qos1 : 0));
    writeLength(head, 2 + topic.length + (acknowledge ? 2 : 0) + payloadBytes);
    head.u16(topic.length);
    head.append(topic);
    if (acknowledge) head.u16(0);
    this.payloadAt = head.length;
    this.payloadBytes = payloadBytes;
    this.acknowledge = acknowledge;
    this.bytes = new Uint8Array(head.length + payloadBytes);
    this.bytes.set(head.view());
  }
}

function writeLength(message: ByteWriter, length: number): void {
  let rest = length;
  while (rest >= 128) {
    message.u8((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  message.u8(rest);
}
