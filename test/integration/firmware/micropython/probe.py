"""What c/probe.c is for the C client: a client that does what standard input says, and prints events as lines of JSON."""

import json
import os
import select
import sys
import time

sys.path.insert(0, os.environ["TAGCAST_MODULE"])
import tagcast

OPTIONS = dict(text.split("=", 1) for text in sys.argv[3:])
SPEED = int(OPTIONS.get("speed", 1))
NAMES = {"first": "from", "last": "offset", "wait_ms": "wait"}

tagcast.ticks_ms = lambda: int(time.monotonic() * 1000 * SPEED)


def tell(event):
    line = {"event": event.kind}
    for name in ("code", "ref", "epoch", "offset", "from", "size", "wait"):
        line[name] = 0
    line["whole"] = line["repeated"] = False
    for name in event._names:
        field = getattr(event, name)
        if name in ("tag", "text"):
            field = field.encode().hex()
        if name in ("payload", "meta"):
            field = bytes(tagcast.encode(field)).hex()
        if field is not None:
            line[NAMES.get(name, name)] = field
    if hasattr(event, "position"):
        line["position"] = event.position or [0, 0]
        line["epoch"] = line["epoch"] or line["position"][0]
    print(json.dumps(line), flush=True)


def obey(client, words):
    verb, rest = words[0], words[1:]
    if verb == "start":
        client.start()
        state["started"] = True
    elif verb == "stop":
        client.stop()
    elif verb == "ping":
        return client.ping() or -3
    elif verb == "unsubscribe":
        client.unsubscribe(rest[0])
    elif verb == "subscribe":
        client.subscribe(rest[0], tuple(map(int, rest[1:])) or None)
    elif verb in ("publish", "send"):
        ref = client.publish(rest[0], tagcast.Raw(bytes.fromhex(rest[1])), ack=verb == "publish")
        return ref if ref is not None else -1 if verb == "publish" else -3
    return 0


state = {"started": False}
probe = tagcast.Client(
    sys.argv[1],
    sys.argv[2],
    name=OPTIONS.get("name"),
    ping=int(OPTIONS["ping"]) if "ping" in OPTIONS else None,
    echo=OPTIONS.get("echo") != "0",
    token_in_message=OPTIONS.get("message") == "1",
    receive=int(OPTIONS.get("receive", 512)),
    outbox=int(OPTIONS.get("outbox", 1024)),
)
print('{"answer":0}', flush=True)
waiting = b""
while True:
    if state["started"]:
        for happened in probe.poll():
            tell(happened)
    sockets = [fd for fd in (probe.fileno(),) if fd >= 0]
    readable, _, _ = select.select([0] + sockets, [], [], 0.01)
    if 0 in readable:
        data = os.read(0, 65536)
        if not data:
            break
        waiting += data
        *lines, waiting = waiting.split(b"\n")
        for line in lines:
            print(json.dumps({"answer": obey(probe, line.decode().split())}), flush=True)
