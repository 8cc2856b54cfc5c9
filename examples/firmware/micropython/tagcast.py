"""A client of tagcast for MicroPython (and CPython), written from docs/protocol.md alone.

    client = tagcast.Client("ws://10.0.0.2:8080/ws", token)
    client.subscribe("plant/7/interval")
    while True:
        for event in client.poll():
            print(event)
        client.publish("plant/7/reading", 21.5)

`poll` does everything and waits for nothing but a connection being made. It connects again by
itself, continues each subscription behind its position, and repeats what was not answered.
"""

import os
import random
import struct
import time

try:
    from time import ticks_diff, ticks_ms
except ImportError:  # CPython

    def ticks_ms():
        return int(time.monotonic() * 1000)

    def ticks_diff(later, earlier):
        return later - earlier


TAG_BYTES = 255
FRAME_BYTES = 16384  # Every server takes 64 KiB.
READ_BYTES = 512
CONNECT_MS = 20000  # From the socket to the answer to op 1.
SOCKET_S = 10
LASTING_MS = 30000  # After so long a connection that ends is followed by the first wait again.
BOUND_FIRST_MS, BOUND_LAST_MS = 1000, 30000
PONG_MS = 10000
CLOSING_MS = 2000
ELEMENTS_KEPT = 7  # No message has more that matter here.
RETRY = (100, 111, 115, 116)
FINAL = (1002, 1003, 1007, 1008, 1010, 3003)
HEARTBEAT_REF = 0xFFFFFFFF
# A float of 32 bits loses nothing on a port that has no longer ones.
FLOAT = (0xCA, ">f") if 1.0 + 2.0**-30 == 1.0 else (0xCB, ">d")


class Ext:
    """A MessagePack extension: its type, -128 to 127, and its bytes."""

    def __init__(self, type, data):
        self.type, self.data = type, data


class Raw:
    """The MessagePack bytes of one value: of what Python cannot hold, or has encoded before."""

    def __init__(self, data):
        self.data = data


class Event:
    """What happened: `kind`, and what comes with it as attributes.

    active                                         the server knows who this is
    subscribed     pattern, whole, position        whole: nothing is missing since it was last
    unsubscribed   pattern, code, text             refused or ended for good
    message        pattern, tag, payload, offset, epoch, meta, position
    skipped        the same, without a payload: it was of `size` bytes, too long
    gap            pattern, tag, first, last, code, position  messages are missing; None: not known
    acknowledged   ref, tag, payload, epoch, offset, repeated
    refused        ref, tag, payload, code, text   the publish, for good
    error          ref, code, text                 something unacknowledged was refused
    pong           ref
    disconnected   code, text, wait_ms             connects again after the wait
    stopped        code, text                      until `start`

    `position` is that of the subscription after the event, (epoch, offset) or None: what to store, and to
    hand to `subscribe` after a restart.
    """

    def __init__(self, kind, **fields):
        self.kind = kind
        self._names = tuple(fields)
        for name, value in fields.items():
            setattr(self, name, value)

    def __repr__(self):
        fields = ["%s=%r" % (name, getattr(self, name)) for name in self._names]
        return "%s(%s)" % (self.kind, ", ".join(fields))


# MessagePack


def encode(value, out=None):
    """The shortest MessagePack bytes of a value, appended to `out` where that is given."""
    out = bytearray() if out is None else out
    if value is None:
        out.append(0xC0)
    elif value is True or value is False:
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        _encode_int(out, value)
    elif isinstance(value, float):
        out.append(FLOAT[0])
        out.extend(struct.pack(FLOAT[1], value))
    elif isinstance(value, str):
        data = value.encode()
        _encode_size(out, len(data), 0xA0, 32, 0xDA)
        out.extend(data)
    elif isinstance(value, (bytes, bytearray)):
        _encode_size(out, len(value), 0, 0, 0xC5)
        out.extend(value)
    elif isinstance(value, (list, tuple)):
        _encode_size(out, len(value), 0x90, 16, 0xDC)
        for item in value:
            encode(item, out)
    elif isinstance(value, dict):
        _encode_size(out, len(value), 0x80, 16, 0xDE)
        for key in value:
            encode(key, out)
            encode(value[key], out)
    elif isinstance(value, Ext):
        size = len(value.data)
        if size in (1, 2, 4, 8, 16):
            out.append((0xD4, 0xD5, 0xD6, 0xD7, 0xD8)[(1, 2, 4, 8, 16).index(size)])
        else:
            _encode_size(out, size, 0, 0, 0xC8)
        out.append(value.type & 0xFF)
        out.extend(value.data)
    elif isinstance(value, Raw):
        out.extend(value.data)
    else:
        raise TypeError("Not a value of MessagePack")
    return out


def _encode_int(out, value):
    if -32 <= value < 128:
        out.append(value & 0xFF)
        return
    for shift in (0, 1, 2, 3):
        bits = 8 << shift
        if 0 <= value < 1 << bits or -(1 << (bits - 1)) <= value < 0:
            out.append((0xCC if value >= 0 else 0xD0) + shift)
            out.extend((value & ((1 << bits) - 1)).to_bytes(bits // 8, "big"))
            return
    raise ValueError("An integer of more than 64 bits")


def _encode_size(out, size, fix, limit, middle):
    """`middle` is the first byte of the form with two bytes."""
    if size < limit:
        out.append(fix | size)
    elif size < 256 and middle < 0xDC:
        out.extend(bytes((middle - 1, size)))
    elif size < 65536:
        out.append(middle)
        out.extend(size.to_bytes(2, "big"))
    else:
        out.append(middle + 1)
        out.extend(size.to_bytes(4, "big"))


# What a first byte from 0xc0 to 0xdf begins, and how many bytes behind it hold a size or a number.
_KINDS = "n!ttbbbxxxffuuuuiiiixxxxxsssaamm"
_WIDTHS = (0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4)


def _head(first):
    """The kind, the bytes that follow for its size or number, and the size in the first byte."""
    if first < 0x80 or first >= 0xE0:
        return "d", 0, 0
    if first < 0x90:
        return "m", 0, first & 15
    if first < 0xA0:
        return "a", 0, first & 15
    if first < 0xC0:
        return "s", 0, first & 31
    fixed = 1 << (first - 0xD4) if 0xD4 <= first <= 0xD8 else 0
    return _KINDS[first - 0xC0], _WIDTHS[first - 0xC0], fixed


def decode(data):
    """The value in these bytes; Raw where Python cannot hold it."""
    try:
        value, end = _decode(data, 0)
    except (UnicodeError, TypeError, RuntimeError):  # Text, a key, too deep.
        return Raw(bytes(data))
    if end != len(data):
        raise ValueError("More than one value")
    return value


def _decode(data, at):
    first = data[at]
    kind, width, size = _head(first)
    at += 1
    if kind == "d":
        return (first if first < 0x80 else first - 256), at
    body = at + width
    number = int.from_bytes(data[at:body], "big")
    if kind == "n":
        return None, at
    if kind == "t":
        return first == 0xC3, at
    if kind == "u":
        return number, body
    if kind == "i":
        top = 1 << (8 * width - 1)
        return (number - 2 * top if number >= top else number), body
    if kind == "f":
        return struct.unpack(">f" if width == 4 else ">d", data[at:body])[0], body
    size = number if width else size
    if kind == "a":
        items = []
        for _ in range(size):
            item, body = _decode(data, body)
            items.append(item)
        return items, body
    if kind == "m":
        pairs = {}
        for _ in range(size):
            key, body = _decode(data, body)
            pairs[key], body = _decode(data, body)
        if len(pairs) != size:
            raise TypeError("Keys that Python takes for the same")
        return pairs, body
    if kind == "x":
        type, body = data[body], body + 1
        return Ext(type if type < 128 else type - 256, bytes(data[body : body + size])), body + size
    part = bytes(data[body : body + size])
    return (part.decode() if kind == "s" else part), body + size


class Messages:
    """Divides bytes that come in pieces into messages: lists of the bytes of their elements.

    An element that is longer than `most` bytes is None, and its length is in `sizes`.
    """

    def __init__(self, most):
        self._most = most
        self.reset()

    def reset(self):
        self._elements = None
        self._head, self._body, self._values, self._left = b"", 0, 0, 0

    def within(self):
        """Whether a message has begun that has not ended."""
        return self._elements is not None or bool(self._head)

    def feed(self, data):
        """The messages that end in these bytes, each with its sizes. ValueError: they are none."""
        at, size = 0, len(data)
        while at < size:
            if self._body:
                part = min(self._body, size - at)
                self._keep(data[at : at + part])
                self._body -= part
                at += part
            else:
                self._head += bytes((data[at],))
                at += 1
                self._begin()
            if self._elements is not None and not (self._head or self._body or self._values):
                self._left -= 1
                self._values = 1
                if self._left == 0:
                    message = self._elements, self._sizes
                    self._elements = None
                    yield message
                else:
                    self._next()

    def _next(self):
        if len(self._elements) < ELEMENTS_KEPT:
            self._elements.append(bytearray())
            self._sizes.append(0)
            self._kept = True
        else:
            self._kept = False

    def _begin(self):
        """The head of a value, once it is whole."""
        kind, width, size = _head(self._head[0])
        is_size = kind in "sbxam"
        if kind == "!" or (self._elements is None and kind != "a"):
            raise ValueError("Not a message")
        if is_size and len(self._head) <= width:
            return
        head, self._head = self._head, b""
        if is_size and width:
            size = int.from_bytes(head[1:], "big")
        if self._elements is None:
            if size == 0:
                raise ValueError("A message without elements")
            self._elements, self._sizes, self._left, self._values = [], [], size, 1
            self._next()
            return
        self._keep(head)
        self._values -= 1
        if kind in "am":
            self._values += size * (2 if kind == "m" else 1)
        elif is_size:
            self._body = size + (1 if kind == "x" else 0)
        else:
            self._body = width

    def _keep(self, part):
        if not self._kept:
            return
        self._sizes[-1] += len(part)
        if self._sizes[-1] > self._most:
            self._elements[-1] = None
        else:
            self._elements[-1].extend(part)


# WebSocket


def _base64(data):
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = ""
    for at in range(0, len(data), 3):
        part = data[at : at + 3]
        bits = int.from_bytes(part + bytes(3 - len(part)), "big")
        text += "".join([digits[bits >> shift & 63] for shift in (18, 12, 6, 0)])
    padding = -len(data) % 3
    return text[: len(text) - padding] + "=" * padding


def _sha1(data):
    """Not every port has it in hashlib."""
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0]
    data += b"\x80" + bytes((55 - len(data)) % 64) + struct.pack(">Q", 8 * len(data))
    for at in range(0, len(data), 64):
        words = list(struct.unpack(">16I", data[at : at + 64]))
        a, b, c, d, e = state
        for i in range(80):
            if i > 15:
                words.append(_rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1))
            if i < 20:
                mixed = (b & c | ~b & d) + 0x5A827999
            elif i < 40:
                mixed = (b ^ c ^ d) + 0x6ED9EBA1
            elif i < 60:
                mixed = (b & c | b & d | c & d) + 0x8F1BBCDC
            else:
                mixed = (b ^ c ^ d) + 0xCA62C1D6
            mixed = (_rotate(a, 5) + mixed + e + words[i]) & 0xFFFFFFFF
            a, b, c, d, e = mixed, a, _rotate(b, 30), c, d
        state = [(x + y) & 0xFFFFFFFF for x, y in zip(state, (a, b, c, d, e))]
    return struct.pack(">5I", *state)


def _rotate(value, bits):
    return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF


def accept_of(key):
    """What a server that speaks WebSocket answers to a key."""
    return _base64(_sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))


def random_bytes(size):
    try:
        return os.urandom(size)
    except AttributeError:
        return bytes([random.getrandbits(8) for _ in range(size)])


def frame(opcode, data):
    """A frame of a client, masked."""
    size, mask = len(data), random_bytes(4)
    head = bytearray((0x80 | opcode,))
    if size < 126:
        head.append(0x80 | size)
    else:
        head.append(0x80 | 126)
        head.extend(size.to_bytes(2, "big"))
    head.extend(mask)
    head.extend(bytes([byte ^ mask[i & 3] for i, byte in enumerate(data)]))
    return head


def open_socket(host, port, secure, ca):
    """A connected socket that does not block. OSError: there is none."""
    import socket

    error = OSError("No address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        stream = socket.socket(family, kind, protocol)
        try:
            stream.settimeout(SOCKET_S)
            stream.connect(address)
            if secure:
                stream = _secured(stream, host, ca)
            stream.setblocking(False)
            return stream
        except OSError as problem:
            stream.close()
            error = problem
    raise error


def _secured(stream, host, ca):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ca)
    return context.wrap_socket(stream, server_hostname=host)


def _waits(error):
    """EAGAIN, EINPROGRESS, ETIMEDOUT; SSL_ERROR_WANT_READ and _WRITE of CPython."""
    return error.args[0] in (11, 115, 110, 2, 3)


class Subscription:
    """A subscribed pattern. `position` is (epoch, offset) of what came last, or None."""

    def __init__(self, pattern, position):
        self.pattern, self.position = pattern, position
        self.wild = "+" in pattern or "#" in pattern
        self.state, self.ref, self.lost_epoch = "due", None, None
        self.begun = self.asked = self.missing = False


class Client:
    """A connection that is made again when it breaks.

    `token_in_message`: in op 1 rather than in the header of the upgrade. `ca`: certificates that
    wss:// trusts, as load_verify_locations takes them. `receive`: the longest element of a message
    that is delivered, in bytes. `outbox`: bytes of publishes that wait for their answer. `connect`:
    a function in place of `open_socket`.
    """

    def __init__(self, url, token, name=None, ping=None, echo=True, token_in_message=False, ca=None,
                 receive=4096, outbox=4096, connect=open_socket):
        scheme, _, rest = url.partition("://")
        if scheme not in ("ws", "wss"):
            raise ValueError("The URL is ws:// or wss://")
        self._secure = scheme == "wss"
        if self._secure and ca is None and connect is open_socket:
            raise ValueError("wss:// needs ca: the certificates to trust")
        self._authority, _, path = rest.partition("/")
        self._path = "/" + (path or "ws")
        host, _, port = self._authority.rpartition(":")
        if not host or port.endswith("]"):
            host, port = self._authority, "443" if self._secure else "80"
        self._address = host.strip("[]"), int(port)
        self._token, self._token_in_message, self._ca, self._connect = token, token_in_message, ca, connect
        self._options = {"client": name, "ping": ping, "echo": None if echo else False}
        self._ping_asked_ms = (ping or 25) * 1000
        self._outbox_most, self._outbox = outbox, []
        self._messages = Messages(receive)
        self._nonce, self._ref = random_bytes(4), 0
        self._state, self._stream = "waiting", None
        self._since, self._wait, self._bound = ticks_ms(), 0, BOUND_FIRST_MS
        self._retry_at, self._retry_bound = None, BOUND_FIRST_MS
        self._retry_after, self._events = 0, []
        self.subscriptions = {}

    # What an application does

    def start(self, token=None):
        """Connect again after `stopped`, with another token where one is given."""
        self._token = token or self._token
        if self._state == "stopped":
            self._state, self._since, self._wait, self._bound = "waiting", ticks_ms(), 0, BOUND_FIRST_MS

    def stop(self):
        """Leave; `poll` says `stopped` when it is done. Positions and the outbox are kept."""
        if self._state in ("open", "active"):
            self._pack()
            self._sending.extend(frame(8, b"\x03\xe8"))
            self._state, self._since = "closing", ticks_ms()
        elif self._state not in ("stopped", "closing"):
            self._close("stopped", 1000, "")

    def subscribe(self, pattern, position=None):
        """Subscribe now and after each reconnect; `position` is that of an earlier run."""
        _check_tag(pattern)
        self.subscriptions[pattern] = Subscription(pattern, position)
        return self.subscriptions[pattern]

    def unsubscribe(self, pattern):
        """Nothing of it is delivered any more."""
        subscription = self.subscriptions.pop(pattern, None)
        if subscription is not None and subscription.state in ("sent", "on"):
            self._queue([3, 0, pattern])

    def publish(self, tag, payload, ack=True):
        """Publish; with `ack` it is kept and repeated until the server has answered.

        Returns its ref, or None where there was no room in the outbox or, without `ack`, no connection.
        """
        _check_tag(tag)
        payload = bytes(encode(payload))
        if not ack:
            return 0 if self._queue([4, 0, tag, Raw(payload)]) else None
        ref = self._next_ref()
        message = encode([4, ref, tag, Raw(payload), {"id": self._nonce + ref.to_bytes(4, "big")}])
        if len(message) > FRAME_BYTES:
            raise ValueError("The payload is too large")
        if sum([len(entry[1]) for entry in self._outbox]) + len(message) > self._outbox_most:
            return None
        self._outbox.append([ref, message, "due", tag, payload])
        return ref

    def unanswered(self):
        """How many publishes wait for their answer."""
        return len(self._outbox)

    def ping(self):
        """Ask the server for a sign of life. Returns the ref of the answer, or None: no connection."""
        ref = self._next_ref()
        return ref if self._queue([9, ref]) else None

    def fileno(self):
        """What select and poll take, or -1 without a connection."""
        return -1 if self._stream is None else self._stream.fileno()

    def poll(self):
        """Do what can be done now. Returns the events of it."""
        if self._state == "waiting" and ticks_diff(ticks_ms(), self._since) >= self._wait:
            self._open()
        if self._state in ("request", "response", "open", "active"):
            try:
                self._work()
                self._read()
                self._work()
            except (OSError, ValueError) as error:
                self._close("disconnected", 1006, str(error))
        if self._state == "closing":
            # What is left unread may undo what was sent last: it reads until the server has closed.
            try:
                self._send(b"")
                self._read()
                left = ticks_diff(ticks_ms(), self._since) >= CLOSING_MS
            except OSError:
                left = True
            if left:
                self._close("stopped", 1000, "")
        events, self._events = self._events, []
        return events

    # The connection

    def _open(self):
        self._received, self._sending, self._queued = bytearray(), bytearray(), []
        self._messages.reset()
        self._fragmented = self._pinged = False
        self._since = self._heard = ticks_ms()
        self._retry_after, self._ping_ms = 0, self._ping_asked_ms
        self._retry_at = None
        self._key = _base64(random_bytes(16))
        token = "" if self._token_in_message else "Authorization: Bearer %s\r\n" % self._token
        request = (
            "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tagcast.v1.msgpack\r\n"
            "Sec-WebSocket-Key: %s\r\n%s\r\n"
        )
        self._state = "response"
        try:
            self._stream = self._connect(self._address[0], self._address[1], self._secure, self._ca)
        except OSError as error:
            self._close("disconnected", 1006, str(error))
            return
        self._sending.extend((request % (self._path, self._authority, self._key, token)).encode())

    def _close(self, kind, code, text):
        """End the connection; `kind` is "stopped" where the client does not come back."""
        if self._state == "active" and ticks_diff(ticks_ms(), self._since) >= LASTING_MS:
            self._bound = BOUND_FIRST_MS
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        final = code in FINAL or 3500 <= code < 4000 or (code < 500 and code not in (100, 429))
        self._since = ticks_ms()
        if kind == "stopped" or final:
            self._state = "stopped"
            self._events.append(Event("stopped", code=code, text=text))
            return
        self._state, self._wait = "waiting", self._retry_after or self._random_wait(self._bound)
        if not self._retry_after:
            self._bound = min(2 * self._bound, BOUND_LAST_MS)
        self._events.append(Event("disconnected", code=code, text=text, wait_ms=self._wait))

    @staticmethod
    def _random_wait(bound):
        return random.getrandbits(16) * bound >> 16

    def _next_ref(self):
        self._ref = self._ref % 0x7FFFFFFF + 1
        return self._ref

    def _queue(self, message):
        """Send a message with the next frame. False: there is no connection."""
        if self._state not in ("open", "active"):
            return False
        self._queued.append(encode(message))
        return True

    def _send(self, data):
        self._sending.extend(data)
        while self._sending:
            try:
                if hasattr(self._stream, "send"):
                    taken = self._stream.send(self._sending)
                else:  # TLS in MicroPython
                    taken = self._stream.write(self._sending)
            except OSError as error:
                if not _waits(error):
                    raise
                return
            if not taken:
                return
            self._sending = self._sending[taken:]

    def _flush(self):
        self._pack()
        self._send(b"")

    def _pack(self):
        """What is queued goes into one frame, or into as few as hold it."""
        data = bytearray()
        for message in self._queued:
            if data and len(data) + len(message) > FRAME_BYTES:
                self._sending.extend(frame(2, data))
                data = bytearray()
            data.extend(message)
        self._queued = []
        if data:
            self._sending.extend(frame(2, data))

    def _work(self):
        """What is due without anything having arrived."""
        if self._state in ("open", "active"):
            if self._retry_at is not None and ticks_diff(ticks_ms(), self._retry_at) >= 0:
                self._retry_at = None
                self._set_due("later")
            for subscription in list(self.subscriptions.values()):
                if subscription.state == "due":
                    self._subscribe(subscription)
            for entry in self._outbox:
                if entry[2] == "due":
                    self._queued.append(entry[1])
                    entry[2] = "sent"
        if self._state in ("response", "open", "active"):
            self._flush()
        silent = ticks_diff(ticks_ms(), self._heard)
        if self._state == "active":
            if silent >= self._ping_ms + PONG_MS:
                raise OSError("The server is silent")
            if silent >= self._ping_ms and not self._pinged:
                self._pinged = self._queue([9, HEARTBEAT_REF])
                self._flush()
        elif self._stream is not None and ticks_diff(ticks_ms(), self._since) >= CONNECT_MS:
            raise OSError("No answer")

    def _set_due(self, state):
        for subscription in self.subscriptions.values():
            if state in (subscription.state, None):
                subscription.state = "due"
        for entry in self._outbox:
            if state in (entry[2], None):
                entry[2] = "due"

    def _retry_later(self):
        if self._retry_at is None:
            self._retry_at = ticks_ms() + self._random_wait(self._retry_bound)
            self._retry_bound = min(2 * self._retry_bound, BOUND_LAST_MS)

    def _subscribe(self, subscription):
        subscription.ref, subscription.state = self._next_ref(), "sent"
        subscription.asked = subscription.position is not None and not subscription.wild
        subscription.lost_epoch = None
        options = {"since": list(subscription.position)} if subscription.asked else None
        message = [2, subscription.ref, subscription.pattern]
        self._queue(message + [options] if options else message)

    def _read(self):
        while self._stream is not None:
            try:
                if hasattr(self._stream, "recv"):
                    data = self._stream.recv(READ_BYTES)
                else:  # TLS in MicroPython
                    data = self._stream.read(READ_BYTES)
            except OSError as error:
                if not _waits(error):
                    raise
                return
            if data is None:
                return
            if not data:
                raise OSError("The connection was closed")
            self._heard, self._pinged = ticks_ms(), False
            if self._state == "closing":
                continue
            self._received.extend(data)
            if self._state == "response":
                self._take_answer()
            while self._state in ("open", "active") and self._take_frame():
                pass

    def _take_answer(self):
        """The answer to the upgrade, once it is whole."""
        end = bytes(self._received).find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > 16384:
                raise ValueError("Not an answer of HTTP")
            return
        lines = bytes(self._received[:end]).decode().split("\r\n")
        self._received = self._received[end + 4 :]
        self._left, self._opcode = None, None
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        words = lines[0].split(" ")
        if len(words) < 2 or not words[0].startswith("HTTP/1."):
            raise ValueError("Not an answer of HTTP")
        if words[1] != "101":
            after = fields.get("retry-after", "")
            self._retry_after = min(int(after), 100000) * 1000 if after.isdigit() else 0
            self._close("disconnected", int(words[1]), lines[0])
            return
        if (
            fields.get("upgrade", "").lower() != "websocket"
            or "upgrade" not in fields.get("connection", "").lower()
            or fields.get("sec-websocket-accept") != accept_of(self._key)
            or "sec-websocket-extensions" in fields
        ):
            raise ValueError("Not an answer of WebSocket")
        self._state, self._retry_bound = "open", BOUND_FIRST_MS
        options = {name: value for name, value in self._options.items() if value is not None}
        if self._token_in_message:
            options["token"] = self._token
        self._connect_ref = self._next_ref()
        self._queue([1, self._connect_ref, options])
        self._set_due(None)

    def _take_frame(self):
        """What there is of a frame. False: more has to arrive."""
        received = self._received
        if self._left is None:
            if len(received) < 2:
                return False
            opcode, size, head = received[0] & 15, received[1], 2
            if size > 125:
                head = 4 if size == 126 else 10
                if len(received) < head:
                    return False
                size = int.from_bytes(received[2:head], "big")
            expected = 0 if self._fragmented else 2
            if received[0] & 0x70 or received[1] & 0x80:
                raise ValueError("Not a frame of a server")
            if opcode >= 8:
                if received[0] < 0x80 or opcode > 10 or size > 125:
                    raise ValueError("Not a frame of a server")
                if len(received) < head + size:
                    return False
                self._received = received[head + size :]
                self._control(opcode, bytes(received[head : head + size]))
                return True
            if opcode != expected:
                raise ValueError("Not a frame of a server")
            self._fragmented, self._left = received[0] < 0x80, size
            received = received[head:]
        part = received[: self._left]
        self._received = received[len(part) :]
        self._left -= len(part)
        for elements, sizes in self._messages.feed(part):
            self._message(elements, sizes)
            if self._stream is None:
                return False
        if self._left:
            return False
        self._left = None
        if not self._fragmented and self._messages.within():
            raise ValueError("A message that is cut short")
        return True

    def _control(self, opcode, data):
        if opcode == 9:
            self._flush()
            self._send(frame(10, data))
        elif opcode == 8:
            code = int.from_bytes(data[:2], "big") if len(data) > 1 else 1005
            self._leave(code, data[2:].decode())
            if code == 1009:  # One of them was too much for somebody: not again.
                for entry in [entry for entry in self._outbox if entry[2] == "sent"]:
                    self._settle(entry, "refused", code=code, text="")

    def _leave(self, code, text):
        try:
            self._send(frame(8, b"\x03\xe8"))
        except OSError:
            pass
        self._close("disconnected", code, text)

    # Messages of the server

    def _message(self, elements, sizes):
        fields = [None if data is None or (i == 3 and elements[0] == b"\x12") else decode(data)
                  for i, data in enumerate(elements)]
        while len(fields) < ELEMENTS_KEPT:
            fields.append(None)
        try:
            self._dispatch(fields, elements, sizes)
        except (TypeError, AttributeError, IndexError):
            raise ValueError("A message of another form")

    def _dispatch(self, fields, elements, sizes):
        op = fields[0]
        if op == 16:
            self._take_ok(fields[1], fields[2] if isinstance(fields[2], dict) else {})
        elif op == 17:
            self._take_error(fields[1], fields[2], fields[3])
        elif op == 18 and len(elements) > 3:
            self._take_message(fields, elements[3], sizes[3])
        elif op == 20:
            self._take_gap(fields)
        elif op == 21:
            self._take_ended(self.subscriptions.get(fields[1]), fields[2], fields[3])
        elif op == 22:
            self._retry_after = fields[3] or 0
            self._leave(fields[1], fields[2] or "")

    def _asked(self, ref):
        for subscription in self.subscriptions.values():
            if subscription.state == "sent" and subscription.ref == ref:
                return subscription
        return None

    def _published(self, ref):
        for entry in self._outbox:
            if entry[0] == ref and entry[2] == "sent":
                return entry
        return None

    def _settle(self, entry, kind, **fields):
        self._outbox.remove(entry)
        self._events.append(Event(kind, ref=entry[0], tag=entry[3], payload=decode(entry[4]), **fields))

    def _take_ok(self, ref, result):
        subscription, entry = self._asked(ref), self._published(ref)
        position = result.get("position")
        position = (position[0], position[1]) if position else None
        self._retry_bound = BOUND_FIRST_MS
        if subscription is not None:
            self._take_subscribed(subscription, position, result)
        elif entry is not None:
            epoch, offset = position or (None, None)
            repeated = result.get("repeated") is True
            self._settle(entry, "acknowledged", epoch=epoch, offset=offset, repeated=repeated)
        elif self._state == "open" and ref == self._connect_ref:
            self._ping_ms = result.get("ping", self._ping_asked_ms // 1000) * 1000
            self._state, self._since = "active", ticks_ms()
            self._events.append(Event("active"))
        elif ref != HEARTBEAT_REF:
            self._events.append(Event("pong", ref=ref))

    def _take_subscribed(self, subscription, position, result):
        """By the rules of "Positions and recovery"."""
        whole = not (subscription.begun or subscription.missing)
        if subscription.asked and position:
            whole = result.get("recovered") is True and not subscription.missing
            if result.get("recovered") is True:
                subscription.position = (position[0], subscription.position[1])
            else:
                subscription.lost_epoch = position[0]
        elif subscription.asked:
            whole, subscription.position = False, None
        elif not subscription.wild:
            subscription.position = position and (position[0], result.get("start", position[1]))
        subscription.state, subscription.begun, subscription.missing = "on", True, False
        self._events.append(
            Event("subscribed", pattern=subscription.pattern, whole=whole, position=subscription.position)
        )

    def _take_error(self, ref, code, text):
        subscription, entry = self._asked(ref), self._published(ref)
        if subscription is not None:
            if code == 103 and subscription.asked:  # The credential may not grant `history`.
                subscription.position, subscription.missing, subscription.state = None, True, "due"
            else:
                self._take_ended(subscription, code, text)
        elif entry is not None and code in RETRY:
            entry[2] = "later"
            self._retry_later()
        elif entry is not None:
            self._settle(entry, "refused", code=code, text=text)
        elif self._state == "open" and ref == self._connect_ref:
            if code not in (115, 117, 118):  # After these op 22 says what to do.
                self._leave(code, text)
        else:
            self._events.append(Event("error", ref=ref, code=code, text=text))

    def _take_ended(self, subscription, code, text):
        if subscription is None:
            return
        if code in RETRY or 2500 <= code < 3000:
            subscription.state = "later"
            self._retry_later()
            return
        del self.subscriptions[subscription.pattern]
        self._events.append(Event("unsubscribed", pattern=subscription.pattern, code=code, text=text))

    def _take_message(self, fields, payload, size):
        _, tag, offset, _, meta, pattern, epoch = fields[:7]
        subscription = self.subscriptions.get(tag if pattern is None else pattern)
        if subscription is None or subscription.state != "on":
            return
        if offset is not None and subscription.position and not subscription.wild:
            epoch, last = subscription.position
            if offset <= last:
                return
            subscription.position = (epoch, offset)
        told = {"pattern": subscription.pattern, "tag": tag, "offset": offset, "epoch": epoch, "meta": meta,
                "position": subscription.position}
        if payload is None:
            self._events.append(Event("skipped", size=size, **told))
        else:
            self._events.append(Event("message", payload=decode(payload), **told))

    def _take_gap(self, fields):
        _, tag, first, last, about = fields[:5]
        about = about if isinstance(about, dict) else {}
        subscription = self.subscriptions.get(about.get("pattern", tag))
        if subscription is None:
            return
        if last is not None and not subscription.wild:
            old = subscription.position[0] if subscription.position else 0
            subscription.position = (about.get("epoch") or subscription.lost_epoch or old, last)
            subscription.lost_epoch = None
        self._events.append(Event("gap", pattern=subscription.pattern, tag=tag, first=first, last=last,
                                  code=about.get("code"), position=subscription.position))


def _check_tag(text):
    if not 0 < len(text.encode()) <= TAG_BYTES:
        raise ValueError("A tag has 1 to 255 bytes")
