"""A small asyncio client of tagcast, written from docs/protocol.md alone.

    client = await tagcast.connect("ws://127.0.0.1:8080/ws", token)
    async for message in await client.subscribe("plant/#"):
        print(message.tag, message.payload)

It reconnects by itself, continues each subscription after its position, and repeats what was
not answered.
"""

import asyncio
import contextlib
import itertools
import logging
import random
import time
import uuid
from typing import Any, NamedTuple, Optional

import msgpack
import websockets

LOGGER = logging.getLogger("tagcast")
FRAME_BYTES = 32768  # Any server takes 64 KiB and two payloads.
SINCE_ENTRIES, HELD_MESSAGES = 256, 1000
RETRY_CODES = (100, 111, 115, 116)
# Of close frames where this side is at fault, and an expired token: there is no other one.
FINAL_CODES = (1002, 1003, 1007, 1008, 1010, 3003)


class TagcastError(Exception):
    """The server refused something; `code` is one of docs/codes.md, or an HTTP status."""

    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        self.code, self.text, self.retry = code, text, code in RETRY_CODES


class Disconnected(TagcastError):
    """The connection ended for good."""


class Undecodable(bytes):
    """The MessagePack bytes of a value that Python cannot hold; the server passes any on."""


class Message(NamedTuple):
    """What was published. `offset` and `epoch` are None where the tag keeps no log."""

    tag: str
    payload: Any
    offset: Optional[int] = None
    epoch: Optional[int] = None
    meta: dict = {}
    pattern: Optional[str] = None
    time: Optional[int] = None


class Gap(NamedTuple):
    """Messages that will not come: from offset `first` to `last`, where known.

    `code` is None where the server did not tell, but the client found it out.
    """

    name: str
    first: Optional[int] = None
    last: Optional[int] = None
    code: Optional[int] = None
    count: Optional[int] = None


class History(NamedTuple):
    """One answer of `history`; `recovered`: False where messages after `since` are gone."""

    messages: list
    position: tuple
    more: bool
    recovered: bool


def decode(frame):
    """The messages of a frame. What Python cannot hold in them stays `Undecodable`."""
    while frame:
        message, frame = _value(frame)
        yield message


def _value(data):
    """The first value of `data`, and the bytes behind it."""
    unpacker = _unpacker(data)
    with contextlib.suppress(ValueError):
        return unpacker.unpack(), data[unpacker.tell():]
    unpacker, kind = _unpacker(data), data[0]
    is_map = kind >> 4 == 8 or kind in (0xde, 0xdf)
    if not is_map and kind >> 4 != 9 and kind not in (0xdc, 0xdd):
        unpacker.skip()
        return Undecodable(data[:unpacker.tell()]), data[unpacker.tell():]
    count = unpacker.read_map_header() * 2 if is_map else unpacker.read_array_header()
    items, rest = [], data[unpacker.tell():]
    for _ in range(count):
        item, rest = _value(rest)
        items.append(item)
    return _map([*zip(items[::2], items[1::2])]) if is_map else items, rest


def _pack(value):
    return msgpack.packb(value, unicode_errors="surrogateescape")


def _unpacker(data):
    unpacker = msgpack.Unpacker(
        strict_map_key=False, unicode_errors="surrogateescape", object_pairs_hook=_map)
    unpacker.feed(data)
    return unpacker


def _map(pairs):
    try:
        return dict(pairs)
    except TypeError:  # A key is an array or a map.
        return pairs


class Subscription:
    """A subscribed pattern: an async iterator of messages, unless a callback takes them.

    `positions` maps tags to `(epoch, offset)`: keep it, and hand it to `subscribe` as `since`.
    With `presence`, `members` maps `(client, generation)` to info, and is None if not told.
    """

    def __init__(self, pattern, callback, on_gap, on_presence, since=None, **options):
        self.pattern, self.positions, self.members, self.count = pattern, {}, None, None
        self.wildcard = not {"+", "#"}.isdisjoint(pattern.split("/"))
        self._queue, self._options = asyncio.Queue(), options
        self._on_gap, self._on_presence = on_gap, on_presence
        self._deliver = callback or self._queue.put_nowait
        # Whether op 16 has come, whether once, and whether the last one named all logs.
        self._active, self._begun, self._listed = False, since is not None, True
        self._tries, self._version = 0, -1
        # Epochs of logs whose op 20 is to come; what waits behind op 5, by tag.
        self._lost, self._held = {}, {}
        self._ready = asyncio.get_running_loop().create_future()
        if since is not None:
            self.positions = dict(since) if self.wildcard else {pattern: since}

    def __aiter__(self):
        return self

    async def __anext__(self):
        item = await self._queue.get()
        if isinstance(item, Message):
            return item
        self._queue.put_nowait(item)  # It stays ended.
        raise item or StopAsyncIteration

    def _request(self, ref):
        """Op 2, and the positions in it, as many as it takes. None: no recovery."""
        options, since = dict(self._options), None
        if self._begun and (self.wildcard or self.positions):
            since = dict(itertools.islice(self.positions.items(), SINCE_ENTRIES))
            options["since"] = since if self.wildcard else since[self.pattern]
            options.pop("last", None)
        self._active = False
        return [2, ref, self.pattern, options], since

    def _answered(self, result, since):
        """Take over the positions of op 16. Returns the tags that have to be read by op 5."""
        self._active, self._begun, self._tries, self._held = True, True, 0, {}
        told = result.get("presence")
        if told is not None:
            self._version = -1
            self._presence(told["version"], told["members"], None, told["count"])
        listed, self._listed = self._listed, not result.get("more")
        stood, lost = result.get("positions", {}), result.get("lost", ())
        starts = {
            tag: (epoch, offsets[:2][-1]) for tag, epoch, *offsets in result.get("unseen", ())}
        if "position" in result:
            stood = {self.pattern: result["position"]}
            lost = [self.pattern] if result.get("recovered") is False else []
            epoch, offset = result["position"]
            starts = {self.pattern: (epoch, result.get("start", offset))}
        self._lost = {tag: stood[tag][0] for tag in lost}
        if since is None:
            self.positions = starts
            return []
        for tag in since:
            if tag not in stood:
                del self.positions[tag]
            elif tag not in lost:
                self.positions[tag] = (stood[tag][0], self.positions[tag][1])
        unread = self.positions.keys() - since.keys()
        for tag in starts.keys() - self.positions.keys():
            if listed:
                unread.add(tag)
            else:  # It may stand there since before the subscription.
                self.positions[tag] = starts[tag]
                self._tell(Gap(tag))
        if not self._listed:
            self._tell(Gap(self.pattern))
        return unread

    def _accept(self, message, hold=True):
        """Deliver a message unless it was delivered before."""
        tag, offset = message.tag, message.offset
        if hold and tag in self._held:
            self._hold(tag, message)
            return
        if offset is not None:
            epoch, seen = self.positions.get(tag, (message.epoch, 0))
            if message.epoch not in (None, epoch):
                epoch, seen = message.epoch, 0
            if offset <= seen:
                return
            message = message._replace(epoch=epoch)
            self.positions[tag] = (epoch, offset)
        _call(self._deliver, message)

    def _hold(self, tag, item):
        """Keep what comes while a log is read; beyond the bound the log has it."""
        if len(self._held[tag]) < HELD_MESSAGES:
            self._held[tag].append(item)

    def _gap(self, gap, epoch):
        """Op 20: move behind the gap."""
        tag = gap.name
        if tag in self._held:
            self._hold(tag, None)
        elif gap.last is not None:
            epoch = epoch or self._lost.get(tag) or self.positions.get(tag, (None,))[0]
            if epoch is not None:  # Else its first message will tell.
                self.positions[tag] = (epoch, gap.last)
        self._lost.pop(tag, None)
        self._tell(gap)

    def _tell(self, gap):
        LOGGER.info("%s: %s", self.pattern, gap)
        if self._on_gap is not None:
            _call(self._on_gap, gap)

    def _page(self, tag, since, page):
        """Deliver what op 5 answered. Returns whether there is more to read."""
        epoch, end = page.position
        first = page.messages[0].offset if page.messages else end + 1
        if not page.recovered or (since is None and first > 1):
            self.positions[tag] = (epoch, first - 1)
            self._tell(Gap(tag, None, first - 1))
        elif since is not None:
            self.positions[tag] = (epoch, since[1])
        for message in page.messages:
            self._accept(message._replace(pattern=self.pattern), hold=False)
        held = self._held[tag]
        return page.more or None in held or len(held) == HELD_MESSAGES

    def _presence(self, version, joined, left, count):
        if version <= self._version:
            return
        self._version, self.count = version, count
        if joined is None or left is None:
            self.members = _by_member(joined)
        elif self.members is not None:
            for client, generation in left:
                self.members.pop((client, generation), None)
            self.members.update(_by_member(joined))
        if self._on_presence is not None:
            _call(self._on_presence, self)

    def _end(self, error=None):
        self._active = False
        self._queue.put_nowait(error)
        _settle(self._ready, error=error or Disconnected(1000, "Unsubscribed"))


def _by_member(members):
    if members is None:
        return None
    return {(client, generation): info for client, generation, info in members}


def _call(callback, argument):
    try:
        callback(argument)
    except Exception:  # pylint: disable=broad-except
        LOGGER.exception("A callback failed")


def _settle(future, result=None, error=None):
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        future.exception()  # Nobody has to look.


class Client:
    """A connection that is made again when it breaks; `connect` makes one."""

    def __init__(self, url, token, client=None):
        self.session = {}  # The result of op 1.
        self._url, self._options, self._failed, self._asked = url, {"token": token}, None, None
        if client is not None:
            self._options["client"] = client
        self._ws, self._hello, self._goodbye, self._active_at = None, 0, None, None
        self._active, self._sleep = asyncio.Event(), asyncio.sleep
        self._refs, self._tasks = itertools.count(1), set()
        self._requests, self._subscribing, self._subscriptions, self._replies = {}, {}, {}, {}
        self._ready = asyncio.get_running_loop().create_future()
        self._runner = asyncio.create_task(self._run())

    async def subscribe(
            self, pattern, callback=None, *, on_gap=None, on_presence=None, **options):
        """Subscribe; options are `since`, `last`, `presence` and `info` as in op 2.

        Messages go to `callback(message)`, or else to whoever iterates over the result.
        `on_gap(gap)` hears of messages that are missing, and `on_presence(subscription)` of
        other `members`.
        """
        self._check()
        if pattern in self._subscriptions:
            raise TagcastError(105, "Already subscribed to this pattern")
        subscription = Subscription(pattern, callback, on_gap, on_presence, **options)
        self._subscriptions[pattern] = subscription
        await self._send(self._subscribe(subscription))
        await subscription._ready
        return subscription

    async def unsubscribe(self, subscription):
        """End a subscription; its iterator ends, too."""
        if self._subscriptions.get(subscription.pattern) is subscription:
            del self._subscriptions[subscription.pattern]
            subscription._end()
            await self._send([3, 0, subscription.pattern])

    async def publish(self, tag, payload, *, ack=True, id=None, **options):
        """Publish to a tag or a list of tags; options are `echo` and `reply` as in op 4.

        With `ack` it waits for the answer, over reconnects, and returns it. Without, it is lost
        if there is no connection. After an error with `retry`, call again with the same `id`.
        """
        self._check()
        if len(_pack(payload)) > self.session["payloadMax"]:
            raise TagcastError(110, "The payload is larger than allowed")
        if ack:
            options["id"] = id or uuid.uuid4().hex
            return await self._request(4, tag, payload, options)
        return await self._send([4, 0, tag, payload, {"id": id, **options}])

    async def history(self, tag, **options):
        """Read a log; options are `since`, `last` and `limit` as in op 5."""
        result = await self._request(5, tag, options)
        epoch = result["position"][0]
        messages = [
            Message(tag, payload, offset, epoch, meta or {}, None, at)
            for offset, payload, meta, at, *_ in result["messages"]]
        recovered = result.get("recovered", True)
        return History(messages, tuple(result["position"]), result["more"], recovered)

    async def presence(self, tag):
        """Who is subscribed to a tag: the result of op 6."""
        return await self._request(6, tag)

    async def request(self, tag, payload, timeout=10):
        """Publish a question and return the answer, or raise asyncio.TimeoutError."""
        return await asyncio.wait_for(self._ask(tag, payload), timeout)

    async def reply(self, question, payload):
        """Answer a message that asks for it."""
        return await self.publish(question.meta["reply"], payload)

    async def close(self):
        """Leave. What still waits fails with Disconnected."""
        self._fail(Disconnected(1000, "Closed"))
        if self._ws is not None:
            await self._ws.close(1000)
        self._runner.cancel()
        await self.wait_closed()

    async def wait_closed(self):
        """Wait until the connection has ended for good; returns why."""
        await asyncio.wait([self._runner])
        return self._failed

    async def _run(self):
        bound = 1.0
        while self._failed is None:
            code, text, wait = await self._session()
            LOGGER.info("Disconnected: %s %s", code, text)
            if code == 1009:  # Whatever it was, it must not be sent again.
                for _, future in self._requests.values():
                    _settle(future, error=TagcastError(code, text))
                self._requests.clear()
            # Below 500: op 1 or the upgrade was refused.
            if (code < 500 and code != 429) or 3500 <= code <= 3999 or code in FINAL_CODES:
                self._fail(Disconnected(code, text))
            elif self._failed is None:
                if self._active_at is not None and time.monotonic() - self._active_at > 30:
                    bound = 1.0
                await self._sleep(wait or random.uniform(0, bound))
                bound = min(bound * 2, 30.0)

    async def _session(self):
        """One connection from begin to end. Returns code, text, and seconds to wait or 0."""
        self._goodbye = self._active_at = None
        try:
            # Its keep-alive pings stand for op 9; those of the server it answers by itself.
            async with websockets.connect(
                    self._url, subprotocols=["tagcast.v1.msgpack"], compression=None,
                    max_size=None, ping_interval=25, ping_timeout=10) as self._ws:
                self._hello = next(self._refs)
                await self._send(
                    [1, self._hello, self._options],
                    *[self._subscribe(each) for each in self._subscriptions.values()],
                    *[message for message, _ in self._requests.values()])
                async for frame in self._ws:
                    for message in decode(frame):
                        self._receive(*message)
            return self._goodbye or (self._ws.close_code, self._ws.close_reason, 0)
        except websockets.ConnectionClosed as closed:
            return self._goodbye or (closed.code, str(closed), 0)
        except websockets.InvalidStatusCode as refused:
            after = refused.headers.get("Retry-After", "")
            return refused.status_code, str(refused), int(after) if after.isdigit() else 0
        except (OSError, asyncio.TimeoutError, websockets.InvalidHandshake) as error:
            return 1006, str(error), 0
        except Exception as error:  # pylint: disable=broad-except
            LOGGER.exception("The client failed")
            return 0, repr(error), 0
        finally:
            self._ws = None
            self._active.clear()
            self._subscribing.clear()
            for task in self._tasks:
                task.cancel()

    async def _send(self, *messages):
        """Send messages in few frames. Without a connection they are dropped."""
        frames = [b""]
        for message in messages:
            data = _pack(message)
            if frames[-1] and len(frames[-1]) + len(data) > FRAME_BYTES:
                frames.append(b"")
            frames[-1] += data
        try:
            for frame in frames:
                if self._ws is not None:
                    await self._ws.send(frame)
        except websockets.ConnectionClosed:
            pass  # The reader sees it.

    async def _request(self, op, *fields):
        """Ask the server until it answers, over reconnects."""
        self._check()
        ref, future = next(self._refs), asyncio.get_running_loop().create_future()
        self._requests[ref] = ([op, ref, *fields], future)
        try:
            await self._send([op, ref, *fields])
            return await future
        finally:
            self._requests.pop(ref, None)

    def _subscribe(self, subscription):
        ref = next(self._refs)
        message, since = subscription._request(ref)
        self._subscribing[ref] = (subscription, since)
        return message

    async def _ask(self, tag, payload):
        await self._active.wait()
        prefix = self.session["reply"]
        if self._asked != prefix:  # A new session has a new one.
            self._asked = prefix
            await self._send([2, 0, prefix + "/#"])
        reply = f"{prefix}/{next(self._refs)}"
        self._replies[reply] = asyncio.get_running_loop().create_future()
        try:
            await self.publish(tag, payload, reply=reply)
            return await self._replies[reply]
        finally:
            del self._replies[reply]

    def _receive(self, op, *fields):
        """Take in a message of the server; unknown ops and extra elements are ignored."""
        if op == 16:
            self._answer(fields[0], fields[1], None)
        elif op == 17 and fields[0] == 0:
            LOGGER.warning("The server refused something: %s", fields[1:])
        elif op == 17:
            self._answer(fields[0], None, TagcastError(fields[1], fields[2]))
        elif op == 18:
            tag, offset, payload, meta, pattern, epoch = (*fields, None, None, None)[:6]
            message = Message(tag, payload, offset, epoch, meta or {}, pattern)
            subscription = self._subscriptions.get(pattern or tag)
            if tag in self._replies:
                _settle(self._replies[tag], message)
            elif subscription is not None and subscription._active:
                subscription._accept(message)
        elif op == 19 and fields[0] in self._subscriptions:
            self._subscriptions[fields[0]]._presence(*fields[1:5])
        elif op == 20:
            name, first, last, info = fields[:4]
            subscription = self._subscriptions.get(info.get("pattern", name))
            if subscription is not None and subscription._active:
                gap = Gap(name, first, last, info["code"], info.get("count"))
                subscription._gap(gap, info.get("epoch"))
        elif op == 21 and fields[0] in self._subscriptions:
            self._ended(self._subscriptions[fields[0]], TagcastError(fields[1], fields[2]))
        elif op == 22:
            self._goodbye = (fields[0], fields[1], fields[2] / 1000)

    def _answer(self, ref, result, error):
        if ref == self._hello:
            self._connected(result, error)
        elif ref in self._requests:
            _settle(self._requests[ref][1], result, error)
        elif ref in self._subscribing:
            subscription, since = self._subscribing.pop(ref)
            if self._subscriptions.get(subscription.pattern) is not subscription:
                return
            if error is not None:
                self._ended(subscription, error, since)
                return
            for tag in subscription._answered(result, since):
                subscription._held[tag] = []
                self._detach(self._catch_up(subscription, tag))
            _settle(subscription._ready)

    def _connected(self, result, error):
        if error is None:
            self.session, self._active_at = result, time.monotonic()
            self._active.set()
            _settle(self._ready)
        elif error.code not in (115, 117, 118):  # After these op 22 follows.
            self._goodbye = (1006 if error.retry else error.code, error.text, 0)
            self._detach(self._ws.close(1000))

    def _ended(self, subscription, error, since=None):
        """A subscription was refused or ended: try again where the code says so."""
        subscription._active, again = False, subscription._ready.done()
        if error.code == 103 and since is not None and again:  # Without `history`.
            subscription._begun = False
            subscription._tell(Gap(subscription.pattern))
        elif not (2500 <= error.code <= 2999 or (error.retry and again)):
            del self._subscriptions[subscription.pattern]
            subscription._end(error)
            return
        self._detach(self._resubscribe(subscription))

    async def _resubscribe(self, subscription):
        await self._sleep(random.uniform(0, min(2 ** subscription._tries, 30)))
        subscription._tries = min(subscription._tries + 1, 5)
        if self._subscriptions.get(subscription.pattern) is subscription:
            await self._send(self._subscribe(subscription))

    async def _catch_up(self, subscription, tag):
        """Read by op 5 what `since` had no room for; live messages wait behind it."""
        try:
            more = True
            while more:
                # What came before op 5 is sent is in its answer.
                held = subscription._held[tag] = []
                since = subscription.positions.get(tag)
                page = await self.history(tag, since=since, limit=1000)
                if subscription._held.get(tag) is not held:
                    return  # It was subscribed to anew.
                more = subscription._page(tag, since, page)
        except TagcastError as error:
            subscription._tell(Gap(tag, code=error.code))
        for message in filter(None, subscription._held.pop(tag, ())):
            subscription._accept(message)

    def _detach(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _check(self):
        if self._failed is not None:
            raise self._failed

    def _fail(self, error):
        if self._failed is not None:
            return
        self._failed = error
        for subscription in self._subscriptions.values():
            subscription._end(None if error.code == 1000 else error)
        self._subscriptions.clear()
        waiting = [future for _, future in self._requests.values()]
        for future in [self._ready, *self._replies.values(), *waiting]:
            _settle(future, error=error)


async def connect(url, token, client=None):
    """Connect, trying until there is a server; raises Disconnected where it refuses the token.

    `client` is the name that presence shows.
    """
    connection = Client(url, token, client)
    try:
        await connection._ready
    except BaseException:
        await connection.close()
        raise
    return connection
