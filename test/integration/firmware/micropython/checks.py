"""Run inside MicroPython: what firmware tests ask of the module. Everything goes in and out as text."""

import binascii
import json

import tagcast


def from_hex(text):
    return binascii.unhexlify(text.encode())


def to_hex(data):
    return binascii.hexlify(data).decode()


def tagged(value):
    """A value with its type, as JSON."""
    if value is None or value is True or value is False:
        return json.dumps(value)
    if isinstance(value, int):
        return '["i","%d"]' % value
    if isinstance(value, float):
        return '["f","%s"]' % repr(value)
    if isinstance(value, str):
        return '["s","%s"]' % to_hex(value.encode())
    if isinstance(value, bytes):
        return '["b","%s"]' % to_hex(value)
    if isinstance(value, tagcast.Ext):
        return '["x","%s",%d]' % (to_hex(value.data), value.type)
    if isinstance(value, tagcast.Raw):
        return '["r","%s"]' % to_hex(value.data)
    if isinstance(value, dict):
        return "[%s]" % ",".join(['"m"'] + ["[%s,%s]" % (tagged(key), tagged(value[key])) for key in value])
    return "[%s]" % ",".join(['"a"'] + [tagged(item) for item in value])


def value(text):
    """A value read, and written again."""
    read = tagcast.decode(from_hex(text))
    return '{"value":%s,"back":"%s"}' % (tagged(read), to_hex(tagcast.encode(read)))


class Wire:
    """A connection that is memory, to a server that takes every upgrade; `step` bytes are read at a time."""

    def __init__(self, step):
        self.step, self.incoming, self.written = step, b"", b""

    def recv(self, size):
        part = self.incoming[: min(size, self.step)]
        self.incoming = self.incoming[len(part) :]
        return part if part else None

    def send(self, data):
        before = self.written
        self.written = (before + bytes(data))[-2000:]
        end = self.written.find(b"\r\n\r\n")
        if before.find(b"\r\n\r\n") < 0 <= end:
            key = self.written.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
            answer = (
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
                "Sec-WebSocket-Accept: %s\r\n\r\n" % tagcast.accept_of(key)
            )
            self.incoming += answer.encode()
        return len(data)

    def close(self):
        self.incoming = b""


def server_frame(first, data):
    size = len(data)
    if size < 126:
        return bytes((first, size)) + data
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + data
    return bytes((first, 127)) + size.to_bytes(8, "big") + data


def drain(client, wire):
    events = client.poll()
    while wire.incoming and client._stream is wire:
        events += client.poll()
    return events


def described(event):
    fields = dict([(name, getattr(event, name)) for name in event._names])
    fields["kind"] = event.kind
    if "payload" in fields:
        fields["payload"] = to_hex(tagcast.encode(fields["payload"]))
    fields.pop("meta", None)
    return json.dumps(fields)


def subscribed(pattern, step, receive=2000000):
    """A client of a server in memory, active and subscribed."""
    wire = Wire(step)
    client = tagcast.Client("ws://h/ws", "secret-of-pump-7", receive=receive, connect=lambda *_: wire)
    client.subscribe(pattern)
    assert drain(client, wire) == []
    wire.incoming += server_frame(0x82, tagcast.encode([16, 1, {}]))
    wire.incoming += server_frame(0x82, tagcast.encode([16, 2, {"position": [7, 0]}]))
    assert [event.kind for event in drain(client, wire)] == ["active", "subscribed"]
    return client, wire


def message(pattern, text, step, part):
    """The events of a message, in frames of `part` bytes read `step` at a time."""
    client, wire = subscribed(pattern, step)
    data = from_hex(text)
    for at in range(0, len(data), part):
        last = at + part >= len(data)
        wire.incoming += server_frame((0x80 if last else 0) | (0 if at else 2), data[at : at + part])
        wire.incoming += server_frame(0x89, b"ping")
    return "[%s]" % ",".join([described(event) for event in drain(client, wire)])


class Chance:
    def __init__(self, seed):
        self.state = seed * 2654435761 % 4294967296 or 1

    def below(self, bound):
        self.state ^= self.state << 13 & 0xFFFFFFFF
        self.state ^= self.state >> 17
        self.state ^= self.state << 5 & 0xFFFFFFFF
        return self.state % bound


def noise(seed, rounds, corpus):
    """Servers that send what is broken: the client goes on, or connects again. Counts of events, as JSON."""
    chance, counts = Chance(seed), {}
    messages = [from_hex(text) for text in corpus.split(" ")]
    for _ in range(rounds):
        client, wire = subscribed("t", 1 + chance.below(600), 64 + chance.below(200))
        client.publish("t", 1)
        for _ in range(1 + chance.below(6)):
            data = bytearray(messages[chance.below(len(messages))])
            kind = chance.below(6)
            if kind == 0 and data:
                data[chance.below(len(data))] = chance.below(256)
            if kind == 1:
                data = data[: chance.below(len(data) + 1)]
            if kind == 2:
                data = bytes([chance.below(256) for _ in range(chance.below(40))])
            wire.incoming += bytes(data) if kind == 3 else server_frame(0x82, bytes(data))
            if chance.below(4) == 0:
                wire.incoming += server_frame(0x82, tagcast.encode([18, "t", chance.below(90), bytes(chance.below(400))]))
            for event in drain(client, wire):
                repr(event)
                counts[event.kind] = counts.get(event.kind, 0) + 1
    return json.dumps(counts)
